package streams

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/streams/internal/rdb"
)

// changesKept is about how many changes of subscriptions are kept.
const changesKept = 10_000

// changesPage is how many changes one command reads.
const changesPage = 500

// changeOf encodes a change for the history. A document that cannot be read counts as none, and its replacement as new.
func (r *Registry) changeOf(ctx context.Context, e *edit) []byte {
	var before *medispatcher.Subscription
	if e.old != nil {
		if sub, _, err := r.rules.Load(e.id, e.old); err == nil {
			before = sub
		}
	}
	c := medispatcher.Change{By: medispatcher.Actor(ctx)}
	c.What, c.Fields = medispatcher.ChangeOf(before, e.sub)
	record, err := json.Marshal(c)
	if err != nil {
		panic(err) // impossible: it holds only JSON values and strings
	}
	return record
}

// Changes lists up to limit changes of one subscription, or of all with an empty id, the latest
// first. before is the id of the last one seen, empty at first.
func (s *Store) Changes(ctx context.Context, id, before string, limit int) ([]medispatcher.Change, error) {
	end := "+"
	if before != "" && !rdb.IsEntryID(before) {
		return nil, medispatcher.FieldError{Field: "before", Problem: fmt.Sprintf("%.80q is not the id of a change, such as 1700000000000-0", before)}
	}
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
				continue // somebody wrote it by hand
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
