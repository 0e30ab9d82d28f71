package streams

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/streams/internal/rdb"
)

// Get returns a subscription and its revision. With Problems, which are those of the stored document, it is the revision alone.
func (r *Registry) Get(ctx context.Context, id string) (medispatcher.Subscription, string, error) {
	stored, err := r.store.stored(ctx, id)
	if err != nil {
		return medispatcher.Subscription{}, "", err
	}
	if stored == "" {
		return medispatcher.Subscription{}, "", notFound(id)
	}
	rev := medispatcher.Rev([]byte(stored))
	sub, _, err := r.rules.Load(id, []byte(stored))
	if err != nil {
		return medispatcher.Subscription{}, rev, err
	}
	return *sub, rev, nil
}

func notFound(id string) error {
	return fmt.Errorf("subscription %q: %w", id, medispatcher.ErrNotFound)
}

// Put creates or replaces a subscription. If ifMatch is not empty, the subscription must have
// this revision. The error is medispatcher.Problems, ErrPrecondition, ErrConflict or one of Redis.
func (r *Registry) Put(ctx context.Context, id string, doc []byte, ifMatch string) (sub medispatcher.Subscription, rev string, created bool, err error) {
	done := r.PutAll(ctx, []medispatcher.SubscriptionPut{{ID: id, Document: doc, IfMatch: ifMatch}})[0]
	return done.Subscription, done.Revision, done.Created, done.Err
}

// PutAll creates or replaces subscriptions, each for itself and in their order. It returns what became of each; the errors are
// those of Put.
func (r *Registry) PutAll(ctx context.Context, puts []medispatcher.SubscriptionPut) []medispatcher.SubscriptionPutDone {
	edits, finish := r.edits(puts)
	r.change(ctx, edits)
	return finish()
}

// PutAllOrNone is PutAll, but it writes nothing if it finds one that cannot be put. It reports whether it found none. Those that
// somebody else changes meanwhile may still have an error then.
func (r *Registry) PutAllOrNone(ctx context.Context, puts []medispatcher.SubscriptionPut) (done []medispatcher.SubscriptionPutDone, good bool) {
	edits, finish := r.edits(puts)
	for step := range slices.Chunk(withID(edits), changesOfStep) {
		if err := r.prepare(ctx, step); err != nil {
			fail(edits, err)
			break
		}
	}
	if slices.ContainsFunc(edits, func(e *edit) bool { return e.err != nil }) {
		return finish(), false
	}
	r.change(ctx, edits)
	return finish(), true
}

// edits are the changes that puts ask for. finish tells what became of them.
func (r *Registry) edits(puts []medispatcher.SubscriptionPut) (edits []*edit, finish func() []medispatcher.SubscriptionPutDone) {
	done := make([]medispatcher.SubscriptionPutDone, len(puts))
	edits = make([]*edit, len(puts))
	for i, p := range puts {
		edits[i] = &edit{id: p.ID, ifMatch: p.IfMatch, do: func(old []byte) (stored []byte, sub *medispatcher.Subscription, err error) {
			if done[i].Created = old == nil; !done[i].Created && p.Replay != nil {
				return nil, nil, medispatcher.Problems{{Field: "from", Problem: fmt.Sprintf("is for a new subscription, and there is one named %q; send it what is in the archive with replay", p.ID)}}
			}
			stored, done[i].Subscription, err = r.rules.Replace(p.ID, old, p.Document, time.Now())
			done[i].Revision = medispatcher.Rev(stored)
			return stored, &done[i].Subscription, err
		}}
		if p.Replay != nil {
			edits[i].replay = encodeReplay(p.Replay)
		}
	}
	return edits, func() []medispatcher.SubscriptionPutDone {
		for i, e := range edits {
			done[i].Err = e.err
		}
		return done
	}
}

// Patch applies a merge patch (RFC 7396) to a subscription. Its errors are those of Put, and ErrNotFound.
func (r *Registry) Patch(ctx context.Context, id string, patch []byte, ifMatch string) (sub medispatcher.Subscription, rev string, err error) {
	e := &edit{id: id, ifMatch: ifMatch, do: func(old []byte) (stored []byte, now *medispatcher.Subscription, err error) {
		if old == nil {
			return nil, nil, notFound(id)
		}
		stored, sub, err = r.rules.Merge(id, old, patch, time.Now())
		rev = medispatcher.Rev(stored)
		return stored, &sub, err
	}}
	r.change(ctx, []*edit{e})
	return sub, rev, e.err
}

// Remove takes a subscription off the registry. Its channel stays. Its errors are those of Patch.
func (r *Registry) Remove(ctx context.Context, id, ifMatch string) error {
	e := &edit{id: id, ifMatch: ifMatch, do: func(old []byte) ([]byte, *medispatcher.Subscription, error) {
		if old == nil {
			return nil, nil, notFound(id)
		}
		return nil, nil, nil
	}}
	r.change(ctx, []*edit{e})
	return e.err
}

// changeScript replaces documents, each only if nobody changed it since it was read. It adds each change to the history,
// and gives the documents a version that they never had. The history says which version a change made of which, so
// whoever knows one of them can follow.
//
// KEYS subscriptions, changes, the documents' version, replays. ARGV changes kept, a channel and the hint that is sent there
// if something changed, and for each change: id, old document ("": none), new document ("": remove), the change, what to add
// to the version, the replay that a new subscription begins with ("": none). A replay goes with its subscription. Returns 1
// for each new document that is in force, else 0; and last the version. Safe to repeat: it then finds the new documents.
var changeScript = rdb.NewScript(nextRevision + `
local done, before = {}, value(KEYS[3])
local version = before
for i = 4, #ARGV, 6 do
  local id, old, new = ARGV[i], ARGV[i + 1], ARGV[i + 2]
  local now = redis.call('HGET', KEYS[1], id) or ''
  done[#done + 1] = (now == old or now == new) and 1 or 0
  if now == old and now ~= new then
    if new == '' then
      redis.call('HDEL', KEYS[1], id)
      redis.pcall('HDEL', KEYS[4], id)
    else redis.call('HSET', KEYS[1], id, new) end
    local next = nextRevision(version, tonumber(ARGV[i + 4]))
    if ARGV[i + 5] ~= '' then redis.call('HSET', KEYS[4], id, next .. ' ' .. ARGV[i + 5]) end
    redis.call('SET', KEYS[3], next)
    redis.pcall('XADD', KEYS[2], 'MAXLEN', '~', ARGV[1], '*', 'subscription', id, 'change', ARGV[i + 3], 'from', version, 'to', next)
    version = next
  end
end
if version ~= before then redis.pcall('PUBLISH', ARGV[2], ARGV[3]) end
done[#done + 1] = version
return done
`)

const (
	// changesOfStep and bytesOfStep bound one step of many changes. The last one may go over the bytes.
	changesOfStep = 100
	bytesOfStep   = 1 << 20
)

// edit is a change of one subscription.
type edit struct {
	id, ifMatch string
	// do makes the new document of the old one, and what it means. nil is none.
	do     func(old []byte) ([]byte, *medispatcher.Subscription, error)
	err    error
	replay []byte // that the new subscription begins with

	prepared  bool // old is what Redis had a moment ago, and next was made of it
	old, next []byte
	sub       *medispatcher.Subscription
	tries     int
}

// prepare makes the new document.
func (e *edit) prepare(stored string) {
	e.old, e.tries, e.prepared = nil, e.tries+1, true
	if stored != "" {
		e.old = []byte(stored)
	}
	switch {
	case e.ifMatch != "" && e.ifMatch != "*" && e.ifMatch != medispatcher.Rev(e.old) || e.ifMatch == "*" && e.old == nil:
		e.err = fmt.Errorf("subscription %q: %w", e.id, medispatcher.ErrPrecondition)
	case e.tries > changeTries:
		e.err = fmt.Errorf("subscription %q is being changed by others all the time: %w", e.id, medispatcher.ErrConflict)
	default:
		e.next, e.sub, e.err = e.do(e.old)
	}
}

// change makes the edits in their order. Each has its error.
func (r *Registry) change(ctx context.Context, edits []*edit) {
	todo := withID(edits)
	var written []*edit
	version := "" // that the last change gave the documents
	for len(todo) > 0 {
		n := inOneStep(todo)
		done, again, now, err := r.changeStep(ctx, todo[:n])
		if err != nil {
			fail(todo, err)
			break
		}
		version = cmp.Or(now, version)
		written = append(written, done...)
		todo = append(again, todo[n:]...)
	}
	if revisionOf(version) > 0 { // otherwise nothing changed, and somebody spoiled it: all who follow see that
		fail(written, r.store.announce(ctx, version))
	}
}

// withID are the edits of ids that a subscription may have. The others get an error.
func withID(edits []*edit) (right []*edit) {
	for _, e := range edits {
		if field, wrong := errors.AsType[medispatcher.FieldError](medispatcher.CheckSubscriptionID(e.id)); wrong {
			e.err = medispatcher.Problems{field}
			continue
		}
		right = append(right, e)
	}
	return right
}

// prepare makes the new documents of those edits that are not prepared.
func (r *Registry) prepare(ctx context.Context, edits []*edit) error {
	edits = slices.DeleteFunc(slices.Clone(edits), func(e *edit) bool { return e.prepared })
	if len(edits) == 0 {
		return nil
	}
	ids := make([]any, 0, 2+len(edits))
	ids = append(ids, "HMGET", r.store.keys.Subscriptions())
	for _, e := range edits {
		ids = append(ids, e.id)
	}
	stored, err := rdb.Texts(r.store.db.With(ctx), ids...).Result()
	if err != nil {
		return rdb.Failed("read subscriptions", err)
	}
	for i, e := range edits {
		e.prepare(stored[i])
	}
	return nil
}

// fail gives an error to the edits that have none.
func fail(edits []*edit, err error) {
	for _, e := range edits {
		e.err = cmp.Or(e.err, err)
	}
}

// inOneStep is how many edits may be one step: it must not change a subscription twice.
func inOneStep(edits []*edit) int {
	ids := map[string]bool{}
	for i, e := range edits {
		if ids[e.id] || i == changesOfStep {
			return i
		}
		ids[e.id] = true
	}
	return len(edits)
}

// changeStep makes some edits. It returns those that are in force, and those that have to be tried again because somebody
// else changed the same subscription or the step is full.
func (r *Registry) changeStep(ctx context.Context, edits []*edit) (done, again []*edit, version string, err error) {
	if err := r.prepare(ctx, edits); err != nil {
		return nil, nil, "", err
	}
	args := []any{changesKept, r.store.keys.Control(), changed}
	var edited []*edit
	size := 0
	for _, e := range edits {
		if e.err != nil {
			continue
		}
		if size >= bytesOfStep {
			again = append(again, e)
			continue
		}
		e.prepared = false // if somebody changed it meanwhile, it is read again
		record := r.changeOf(ctx, e)
		size += len(e.old) + len(e.next) + len(record)
		args = append(args, e.id, e.old, e.next, record, spread(), e.replay)
		edited = append(edited, e)
	}
	if len(edited) == 0 {
		return nil, again, "", nil
	}
	k := []string{r.store.keys.Subscriptions(), r.store.keys.Changes(), r.store.keys.Written(), r.store.keys.Replays()}
	const step = "write subscriptions"
	answer, err := changeScript.Run(ctx, r.store.db, k, args...).Slice()
	if err != nil || len(answer) != len(edited)+1 {
		return nil, nil, "", cmp.Or(rdb.Failed(step, err), rdb.Unreadable(step, answer))
	}
	for i, e := range edited {
		if answer[i] == int64(1) {
			done = append(done, e)
		} else {
			again = append(again, e)
		}
	}
	version, _ = answer[len(edited)].(string)
	return done, again, version, nil
}

// stored returns the document of a subscription, "" if there is none.
func (s *Store) stored(ctx context.Context, id string) (string, error) {
	doc, err := rdb.Text(s.db.With(ctx), "HGET", s.keys.Subscriptions(), id).Result()
	return doc, rdb.Failed("read subscription", err)
}
