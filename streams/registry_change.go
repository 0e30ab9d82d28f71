package streams

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/streams/internal/rdb"
)

// Get returns a subscription and its revision.
func (r *Registry) Get(ctx context.Context, id string) (medispatcher.Subscription, string, error) {
	stored, err := r.store.stored(ctx, id)
	if err != nil {
		return medispatcher.Subscription{}, "", err
	}
	if stored == "" {
		return medispatcher.Subscription{}, "", notFound(id)
	}
	sub, _, err := r.rules.Load(id, []byte(stored))
	return sub, medispatcher.Rev([]byte(stored)), err
}

func notFound(id string) error {
	return fmt.Errorf("subscription %q: %w", id, medispatcher.ErrNotFound)
}

// Put creates or replaces a subscription. If ifMatch is not empty, the subscription must have
// this revision. The error is medispatcher.Problems, ErrPrecondition, ErrConflict or one of Redis.
func (r *Registry) Put(ctx context.Context, id string, doc []byte, ifMatch string) (sub medispatcher.Subscription, rev string, created bool, err error) {
	err = r.change(ctx, id, ifMatch, func(old []byte) (stored []byte, err error) {
		created = old == nil
		stored, sub, err = r.rules.Replace(id, old, doc, time.Now())
		rev = medispatcher.Rev(stored)
		return stored, err
	})
	return sub, rev, created, err
}

// Patch applies a merge patch (RFC 7396) to a subscription. Its errors are those of Put, and ErrNotFound.
func (r *Registry) Patch(ctx context.Context, id string, patch []byte, ifMatch string) (sub medispatcher.Subscription, rev string, err error) {
	err = r.change(ctx, id, ifMatch, func(old []byte) (stored []byte, err error) {
		if old == nil {
			return nil, notFound(id)
		}
		stored, sub, err = r.rules.Merge(id, old, patch, time.Now())
		rev = medispatcher.Rev(stored)
		return stored, err
	})
	return sub, rev, err
}

// Remove takes a subscription off the registry. Its channel stays. Its errors are those of Patch.
func (r *Registry) Remove(ctx context.Context, id, ifMatch string) error {
	return r.change(ctx, id, ifMatch, func(old []byte) ([]byte, error) {
		if old == nil {
			return nil, notFound(id)
		}
		return nil, nil
	})
}

// changeScript replaces a document only if nobody changed it since it was read. It adds the
// change to the history, and gives the documents a version that they never had.
//
// KEYS subscriptions, changes, the documents' version. ARGV id, old document ("": none), new document ("": remove),
// the change, changes kept, what to add to the version. Returns 1 if the new document is in force, else 0.
// Safe to repeat: it then finds the new document, and returns 1.
var changeScript = rdb.NewScript(nextRevision + `
local now = redis.call('HGET', KEYS[1], ARGV[1]) or ''
if now == ARGV[3] then return 1 end
if now ~= ARGV[2] then return 0 end
if ARGV[3] == '' then redis.call('HDEL', KEYS[1], ARGV[1])
else redis.call('HSET', KEYS[1], ARGV[1], ARGV[3]) end
redis.call('SET', KEYS[3], nextRevision(KEYS[3], tonumber(ARGV[6])))
redis.pcall('XADD', KEYS[2], 'MAXLEN', '~', ARGV[5], '*', 'subscription', ARGV[1], 'change', ARGV[4])
return 1
`)

func (r *Registry) change(ctx context.Context, id, ifMatch string, edit func(old []byte) ([]byte, error)) error {
	if err := medispatcher.CheckSubscriptionID(id); err != nil {
		var field medispatcher.FieldError
		errors.As(err, &field)
		return medispatcher.Problems{field}
	}
	for range changeTries {
		stored, err := r.store.stored(ctx, id)
		if err != nil {
			return err
		}
		var old []byte
		if stored != "" {
			old = []byte(stored)
		}
		if ifMatch != "" && ifMatch != "*" && ifMatch != medispatcher.Rev(old) || ifMatch == "*" && old == nil {
			return fmt.Errorf("subscription %q: %w", id, medispatcher.ErrPrecondition)
		}
		next, err := edit(old)
		if err != nil {
			return err
		}
		k := []string{r.store.keys.Subscriptions(), r.store.keys.Changes(), r.store.keys.Written()}
		done, err := changeScript.Run(ctx, r.store.db, k, id, stored, next, r.changeOf(ctx, id, old, next), changesKept, spread()).Bool()
		if err != nil {
			return rdb.Failed("write subscription", err)
		}
		if done {
			return r.store.announce(ctx)
		}
	}
	return fmt.Errorf("subscription %q is being changed by others all the time: %w", id, medispatcher.ErrConflict)
}

// stored returns the document of a subscription, "" if there is none.
func (s *Store) stored(ctx context.Context, id string) (string, error) {
	doc, err := rdb.Text(s.db.With(ctx), "HGET", s.keys.Subscriptions(), id).Result()
	return doc, rdb.Failed("read subscription", err)
}
