package streams

import (
	"context"
	"hash/maphash"
	"maps"
	"reflect"
	"slices"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/streams/internal/rdb"
)

const (
	// feedSteps and feedBytes bound one look at the changes: so many steps, and so many bytes of documents and one more.
	feedSteps = 100
	feedBytes = 1 << 20
	// scanPage is how many documents one command reads when all are read, auditPage how many are compared at a time.
	scanPage, auditPage = 500, 500
	// maxSeen bounds the versions that are remembered.
	maxSeen = 10_000
)

// reading is how far a registry has read. The mutex of the registry guards it.
type reading struct {
	docs     map[string]uint64 // a hash of each document as it is stored
	last     string            // id of the last change that was read
	unusable map[string]bool   // subscriptions whose document cannot be read
	// seen are versions that the documents had. Each is announced as the revision after its change is written.
	seen  map[string]bool
	order []string // of seen, the oldest first
}

// hashSeed makes the hashes of documents unlike those of any other process.
var hashSeed = maphash.MakeSeed()

func (r *reading) see(version string) {
	if r.seen[version] {
		return
	}
	r.seen[version] = true
	if r.order = append(r.order, version); len(r.order) > maxSeen {
		for _, old := range r.order[:maxSeen/2] {
			delete(r.seen, old)
		}
		r.order = slices.Clone(r.order[maxSeen/2:])
	}
}

// feedScript reads changes and documents at one moment.
//
// KEYS subscriptions, changes, the documents' version. ARGV id of the last change that was read ("": no changes are
// wanted, but the id of the last one), most changes, bytes of documents after which no further change is looked at, and
// ids of documents that are wanted, too. Returns the version, the number of documents, for each change its id, its subscription and the
// versions before and after it, and ids and documents in turn. It changes nothing.
var feedScript = rdb.NewScript(`
local version = redis.pcall('GET', KEYS[3])
if type(version) ~= 'string' then version = '' end
local entries
if ARGV[1] == '' then entries = redis.pcall('XREVRANGE', KEYS[2], '+', '-', 'COUNT', 1)
else entries = redis.pcall('XRANGE', KEYS[2], '(' .. ARGV[1], '+', 'COUNT', ARGV[2]) end
if entries.err then entries = {} end
local changes, docs, read, size = {}, {}, {}, 0
local function want(id)
  if read[id] then return end
  read[id] = true
  local doc = redis.call('HGET', KEYS[1], id)
  docs[#docs + 1], docs[#docs + 2] = id, doc
  size = size + (doc and #doc or 0)
end
for _, e in ipairs(entries) do
  if size > tonumber(ARGV[3]) then break end
  local f = {}
  for i = 1, #e[2], 2 do f[e[2][i]] = e[2][i + 1] end
  local id, to = f.subscription or '', f.to or ''
  for _, v in ipairs({e[1], id, f.from or '', to}) do changes[#changes + 1] = v end
  if to ~= '' and id ~= '' and ARGV[1] ~= '' then want(id) end
end
local rest = {}
for i = 4, #ARGV do
  if not read[ARGV[i]] then
    read[ARGV[i]] = true
    rest[#rest + 1] = ARGV[i]
  end
end
if #rest > 0 then
  for i, doc in ipairs(redis.call('HMGET', KEYS[1], unpack(rest))) do
    docs[#docs + 1], docs[#docs + 2] = rest[i], doc
  end
end
return {version, redis.call('HLEN', KEYS[1]), changes, docs}
`)

// feed is what feedScript answers.
type feed struct {
	documents string // their version
	count     int64
	changes   []feedChange
}

type feedChange struct{ id, subscription, from, to string }

// feed reads changes. It calls each for the documents that they name, and for those that are wanted, whether they are there or not.
func (s *Store) feed(ctx context.Context, last string, want []string, each func(id, doc string, there bool)) (f feed, err error) {
	args := []any{last, feedSteps, feedBytes}
	for _, id := range want {
		args = append(args, id)
	}
	const step = "read the changes of subscriptions"
	answer, err := feedScript.Run(ctx, s.db, []string{s.keys.Subscriptions(), s.keys.Changes(), s.keys.Written()}, args...).Slice()
	if err != nil {
		return f, rdb.Failed(step, err)
	}
	if len(answer) != 4 {
		return f, rdb.Unreadable(step, answer)
	}
	f.documents, _ = answer[0].(string)
	f.count, _ = answer[1].(int64)
	changes, _ := answer[2].([]any)
	text := func(v any) string { s, _ := v.(string); return s }
	for c := range slices.Chunk(changes, 4) {
		f.changes = append(f.changes, feedChange{text(c[0]), text(c[1]), text(c[2]), text(c[3])})
	}
	docs, _ := answer[3].([]any)
	for d := range slices.Chunk(docs, 2) {
		doc, there := d[1].(string)
		each(text(d[0]), doc, there)
	}
	return f, nil
}

// followLocked returns a copy no older than the version v.
func (r *Registry) followLocked(ctx context.Context, v version, wrong *warnings) (*Snapshot, error) {
	s := r.current.Load()
	switch known := s.version.read && r.read.seen[v.revision]; {
	case s.version == v: // another goroutine has read it meanwhile
		return s, nil
	case known && s.version.documents == v.documents && s.version.count == v.count:
		return r.storeLocked(s.Subs, v), nil // a change that was read already is announced now
	}
	return r.readLocked(ctx, v, nil, wrong)
}

// readLocked reads what changed, and the documents of some subscriptions beside that. It reads all where what changed is not known:
// Redis lost something, or somebody changed something without a word.
func (r *Registry) readLocked(ctx context.Context, v version, want []string, wrong *warnings) (*Snapshot, error) {
	if !r.current.Load().version.read {
		return r.loadLocked(ctx, v, wrong)
	}
	p, err := r.catchUpLocked(ctx, want)
	switch {
	case err != nil:
		return nil, err
	case p == nil || !r.read.seen[v.revision] && !slices.Contains(p.versions, v.revision):
		return r.loadLocked(ctx, v, wrong)
	}
	return r.advanceLocked(p, v, wrong), nil
}

// advanceLocked puts what changed in force.
func (r *Registry) advanceLocked(p *progress, v version, wrong *warnings) *Snapshot {
	r.read.last = p.last
	for _, version := range p.versions {
		r.read.see(version)
	}
	s := r.current.Load()
	now := version{read: true, revision: s.version.revision, documents: p.documents, count: p.count}
	if v.documents == p.documents { // else v is older than what was read
		now.revision = v.revision
	}
	return r.storeLocked(r.applyLocked(s.Subs, p.docs, wrong), now)
}

// progress is what changed between the copy and a later moment.
type progress struct {
	documents string // their version
	count     int64
	versions  []string           // those in between, and the last one
	last      string             // id of the last change
	docs      map[string]*string // those that are not as they were; nil: there is none
}

// catchUpLocked reads what changed, and the documents of some subscriptions beside that. It returns nil where the changes do not
// lead from the copy to what Redis holds.
func (r *Registry) catchUpLocked(ctx context.Context, want []string) (*progress, error) {
	p := &progress{documents: r.current.Load().version.documents, last: r.read.last, docs: map[string]*string{}}
	each := func(id, doc string, there bool) {
		hash, known := r.read.docs[id]
		switch {
		case !there:
			p.docs[id] = nil
		case known && hash == docHash(doc): // of an audit, nearly all
			delete(p.docs, id)
		default:
			p.docs[id] = new(doc)
		}
	}
	for {
		f, err := r.store.feed(ctx, p.last, want, each)
		if err != nil {
			return nil, err
		}
		want = nil
		for _, c := range f.changes {
			p.last = c.id
			if c.to == "" { // written by an earlier version or by hand; if the documents changed, their version tells
				continue
			}
			if c.from != p.documents || c.from == "" {
				return nil, nil
			}
			p.documents = c.to
			p.versions = append(p.versions, c.to)
		}
		switch p.count = f.count; {
		case p.documents == f.documents && r.countWith(p.docs) == f.count:
			return p, nil
		case p.documents == f.documents || len(f.changes) == 0:
			return nil, nil
		}
	}
}

// countWith is the number of documents after some have changed.
func (r *Registry) countWith(docs map[string]*string) int64 {
	n := int64(len(r.read.docs))
	for id, doc := range docs {
		_, had := r.read.docs[id]
		switch {
		case doc == nil && had:
			n--
		case doc != nil && !had:
			n++
		}
	}
	return n
}

// applyLocked puts changed documents in force; nil stands for one that was removed.
func (r *Registry) applyLocked(subs *medispatcher.Subscriptions, docs map[string]*string, wrong *warnings) *medispatcher.Subscriptions {
	var put []*medispatcher.Subscription
	var removed []string
	for id, doc := range docs {
		had := subs.Get(id)
		if doc == nil {
			delete(r.read.docs, id)
			delete(r.read.unusable, id)
			if had != nil {
				removed = append(removed, id)
			}
			continue
		}
		r.read.docs[id] = docHash(*doc)
		if sub := r.decode(id, *doc, had, r.read.unusable, wrong); sub != nil {
			put = append(put, sub)
		}
	}
	return with(subs, put, removed)
}

func with(subs *medispatcher.Subscriptions, put []*medispatcher.Subscription, removed []string) *medispatcher.Subscriptions {
	if len(put)+len(removed) == 0 {
		return subs
	}
	return subs.With(put, removed)
}

// loadLocked reads every document. First it notes up to where the changes are known: what changes while it reads is read
// again, never missed. At the end it follows such changes, so that the copy is what its version says and nothing newer: an archived
// message says by that version who got it.
func (r *Registry) loadLocked(ctx context.Context, v version, wrong *warnings) (*Snapshot, error) {
	f, err := r.store.feed(ctx, "", nil, nil)
	if err != nil {
		return nil, err
	}
	next := reading{docs: make(map[string]uint64, f.count), last: "0-0", seen: map[string]bool{}, unusable: map[string]bool{}}
	if len(f.changes) > 0 {
		next.last = f.changes[0].id
	}
	next.see(f.documents)
	next.see(v.revision)
	subs := r.current.Load().Subs
	put := map[string]*medispatcher.Subscription{}
	err = rdb.EachField(r.store.db.With(ctx), r.store.keys.Subscriptions(), "*", scanPage, func(id, doc string) {
		hash := docHash(doc)
		if before, again := next.docs[id]; again && before == hash {
			return
		}
		next.docs[id] = hash
		delete(put, id)
		delete(next.unusable, id)
		if before, known := r.read.docs[id]; known && before == hash {
			if r.read.unusable[id] {
				next.unusable[id] = true
			}
		} else if sub := r.decode(id, doc, subs.Get(id), next.unusable, wrong); sub != nil {
			put[id] = sub
		}
	})
	if err != nil {
		return nil, rdb.Failed("read subscriptions", err)
	}
	var removed []string
	for id := range r.read.docs {
		if _, still := next.docs[id]; !still && subs.Get(id) != nil {
			removed = append(removed, id)
		}
	}
	r.read = next
	now := version{read: true, revision: v.revision, documents: f.documents, count: f.count}
	s := r.storeLocked(with(subs, slices.Collect(maps.Values(put)), removed), now)
	if p, err := r.catchUpLocked(ctx, nil); err == nil && p != nil && p.documents != now.documents {
		s = r.advanceLocked(p, v, wrong)
	}
	return s, nil
}

func docHash(doc string) uint64 { return maphash.String(hashSeed, doc) }

// decode reads a document. It returns nil if nothing changes: the document means what it meant, or cannot be read, and then
// the last good one, had, stays in force.
func (r *Registry) decode(id, doc string, had *medispatcher.Subscription, unusable map[string]bool, wrong *warnings) *medispatcher.Subscription {
	sub, list, err := r.rules.Load(id, []byte(doc))
	if err != nil {
		wrong.add(id, "its stored document is unusable, put the subscription again: "+medispatcher.OneLine(err))
		if had == nil {
			unusable[id] = true
		}
		return nil
	}
	delete(unusable, id)
	for _, w := range list {
		wrong.add(id, w)
	}
	if had != nil && reflect.DeepEqual(had, sub) {
		return nil
	}
	return sub
}

// storeLocked puts a copy in force.
func (r *Registry) storeLocked(subs *medispatcher.Subscriptions, v version) *Snapshot {
	old := r.current.Load()
	next := &Snapshot{Revision: v.number(), Subs: subs, Unusable: slices.Sorted(maps.Keys(r.read.unusable)), version: v}
	r.noteVanished(old, next)
	r.current.Store(next)
	if subs != old.Subs || !old.version.read {
		select {
		case r.changed <- struct{}{}:
		default:
		}
	}
	return next
}

// audit compares a page of documents, those after one id, with Redis: somebody may change one by hand. It returns the last id
// of the page, "" at the end.
func (r *Registry) audit(ctx context.Context, after string) (last string, err error) {
	v, err := r.store.version(ctx)
	if err != nil {
		return after, r.noted(err)
	}
	var wrong warnings
	defer r.tell(&wrong)
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.current.Load()
	want := make([]string, 0, auditPage)
	if after == "" {
		want = append(want, s.Unusable[:min(len(s.Unusable), auditPage/2)]...)
	}
	for sub := range s.Subs.After(after) {
		if len(want) >= auditPage {
			break
		}
		want = append(want, sub.ID)
	}
	if len(want) >= auditPage {
		last = want[len(want)-1]
	}
	if _, err := r.readLocked(ctx, v, want, &wrong); err != nil {
		return after, r.noted(err)
	}
	return last, r.noted(nil)
}

// Refresh reads every document.
func (r *Registry) Refresh(ctx context.Context) (*Snapshot, error) {
	var wrong warnings
	defer r.tell(&wrong)
	r.mu.Lock()
	defer r.mu.Unlock()
	v, err := r.store.version(ctx)
	if err != nil {
		return nil, r.noted(err)
	}
	s, err := r.loadLocked(ctx, v, &wrong)
	return s, r.noted(err)
}
