package streams

import (
	"context"
	"slices"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/streams/internal/rdb"
)

// somePage is how many documents one command reads when some are read.
const somePage = 100

// IDs lists the ids of all subscriptions, sorted, and their revision. They are no older than this call. A process that has no
// copy of the subscriptions reads their ids alone.
func (r *Registry) IDs(ctx context.Context) (ids []string, revision int64, err error) {
	v, err := r.store.version(ctx)
	if err != nil {
		return nil, 0, r.noted(err)
	}
	if !r.Read() {
		ids, err = r.store.SubscriptionIDs(ctx)
		return ids, v.number(), r.noted(err)
	}
	s, err := r.asOf(ctx, v, nil)
	if err != nil {
		return nil, 0, err
	}
	return s.Subs.IDs(), s.Revision, nil
}

// Some reads the documents of some subscriptions. Those that are no more are left out, and so are those that cannot be
// read: unusable lists them.
func (r *Registry) Some(ctx context.Context, ids []string) (subs []*medispatcher.Subscription, unusable []string, err error) {
	var wrong warnings
	defer r.tell(&wrong)
	bad := map[string]bool{}
	for page := range slices.Chunk(ids, somePage) {
		args := []any{"HMGET", r.store.keys.Subscriptions()}
		for _, id := range page {
			args = append(args, id)
		}
		docs, err := rdb.List(r.store.db.With(ctx), args...).Result()
		if err != nil {
			return nil, nil, rdb.Failed("read subscriptions", err)
		}
		for i, doc := range docs {
			text, there := doc.(string)
			if !there {
				continue
			}
			if sub := r.decode(page[i], text, nil, bad, &wrong); sub != nil {
				subs = append(subs, sub)
			} else {
				unusable = append(unusable, page[i])
			}
		}
	}
	return subs, unusable, nil
}

// namesScript reads a page of the names of a hash, without its values.
//
// KEYS hash. ARGV cursor, about how many names. Returns {cursor of the next page, "0" after the last one, names}. It changes
// nothing.
var namesScript = rdb.NewScript(`
local page = redis.call('HSCAN', KEYS[1], ARGV[1], 'COUNT', ARGV[2])
local names = {}
for i = 1, #page[2], 2 do names[#names + 1] = page[2][i] end
return {page[1], names}
`)

// namesPage keeps a page of names within a millisecond of Redis.
const namesPage = 1000

// SubscriptionIDs lists the ids of all subscriptions, sorted.
func (s *Store) SubscriptionIDs(ctx context.Context) (ids []string, err error) {
	const step = "list subscriptions"
	for cursor := "0"; ; {
		answer, err := namesScript.Run(ctx, s.db, []string{s.keys.Subscriptions()}, cursor, namesPage).Slice()
		if err != nil {
			return nil, rdb.Failed(step, err)
		}
		if len(answer) != 2 {
			return nil, rdb.Unreadable(step, answer)
		}
		names, _ := answer[1].([]any)
		for _, name := range names {
			if id, ok := name.(string); ok {
				ids = append(ids, id)
			}
		}
		if cursor, _ = answer[0].(string); cursor == "0" || cursor == "" {
			slices.Sort(ids)
			return slices.Compact(ids), nil // a page may have a name again
		}
	}
}
