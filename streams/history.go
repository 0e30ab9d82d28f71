package streams

import (
	"context"
	"encoding/json"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/streams/internal/rdb"
)

// changesKept is how many changes of subscriptions are remembered, roughly.
const changesKept = 10_000

// changesPage is how many changes are looked at in one command.
const changesPage = 500

// changeOf is the record of a change: an old and a new document, nil for none.
func (r *Registry) changeOf(ctx context.Context, id string, old, next []byte) []byte {
	read := func(doc []byte) *medispatcher.Subscription {
		if doc == nil {
			return nil
		}
		sub, _, err := r.rules.Load(id, doc)
		if err != nil {
			return nil // one that cannot be read: what replaces it counts as new
		}
		return &sub
	}
	c := medispatcher.Change{By: medispatcher.Actor(ctx)}
	c.What, c.Fields = medispatcher.ChangeOf(read(old), read(next))
	record, err := json.Marshal(c)
	if err != nil {
		panic(err) // JSON and strings
	}
	return record
}

// Changes lists up to limit changes of a subscription, or with an empty id of all, the latest
// first. before is the ID of the last one seen, empty to begin.
func (s *Store) Changes(ctx context.Context, id, before string, limit int) ([]medispatcher.Change, error) {
	end := "+"
	if before != "" {
		end = "(" + before
	}
	changes := []medispatcher.Change{}
	for len(changes) < limit {
		entries, err := rdb.Entries(s.db.With(ctx), "XREVRANGE", s.keys.Changes(), end, "-", "COUNT", changesPage).Result()
		if err != nil {
			return nil, rdb.Failed("list changes", err)
		}
		for _, e := range entries {
			end = "(" + e.ID
			of := e.Fields.Get("subscription")
			if id != "" && of != id || len(changes) == limit {
				continue
			}
			record := e.Fields.Get("change")
			var c medispatcher.Change
			if json.Unmarshal([]byte(record), &c) != nil {
				continue // written by hand
			}
			c.ID, c.Subscription, c.Time = e.ID, of, Entry{ID: e.ID}.Time().UTC()
			changes = append(changes, c)
		}
		if len(entries) < changesPage {
			break
		}
	}
	return changes, nil
}
