package streams

import (
	"context"
	"math/rand/v2"
	"strconv"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/solate/medispatcher/streams/internal/rdb"
)

const (
	// foldAfter and foldSpread are when in a second the one before it is folded: at random for each dispatcher, so that the same one is
	// always first.
	foldAfter, foldSpread = 20 * time.Millisecond, 200 * time.Millisecond
	// foldStep is about how many names one step folds.
	foldStep = 200
	// foldWithin bounds the folding of all partitions, foldsAtOnce how many are folded at a time: Redis may be far away.
	foldWithin  = 3 * time.Second
	foldsAtOnce = 8
	// foldSeldom bounds the seconds that pass, on average, between two looks of a dispatcher that finds what it counted folded by another
	// one: as many as there are others, so that some dispatcher looks in each second. If the one that folds dies, what is counted until the
	// next look belongs to its last second.
	foldSeldom = 8
)

// folds are the partitions whose counts this process folds.
type folds struct {
	on     atomic.Bool
	parts  []foldPart
	others func() int64 // how many other dispatchers live
}

type foldPart struct {
	since atomic.Int64 // a second in which this process counted, and after which it has not looked; 0: there is none
	// Only the goroutine that folds uses these.
	again int64 // since, if it stands for a look more and not for a step that counted
	next  int64 // second of the next look
}

// counts reports whether a step may count in the hash "now", because this process folds it, and notes that one does.
func (f *folds) counts(p int, second int64) bool {
	if !f.on.Load() || p >= len(f.parts) {
		return false
	}
	if since := &f.parts[p].since; since.Load() == 0 {
		since.CompareAndSwap(0, second)
	}
	return true
}

// foldScript moves counts of the hash "now" to those of its second, minute and hour, all of them or about as many as it
// is told to. Once all are moved it deletes the hash.
//
// KEYS second, minute, hour, now. ARGV the second that the first three are of, how many names. Returns how many names it moved,
// and the second that is left: then another step goes on with the keys of that one; "": nothing is left. Safe to repeat: what is
// moved is no longer there.
var foldScript = rdb.NewScript(countLua + `
count_hashes = {1, 2, 3}
local now = KEYS[4]
local at = redis.pcall('HGET', now, '~at')
if type(at) == 'table' or not at and redis.call('EXISTS', now) == 0 then return {0, ''} end
if not at or not string.match(at, '^%d+$') or #at > 12 then at = ARGV[1] end
if at ~= ARGV[1] then return {0, at} end
redis.call('HINCRBY', now, '~step', 1) -- fails before anything is moved if Redis is out of memory
local page = redis.call('HSCAN', now, 0, 'COUNT', ARGV[2])
local fields, moved, taken, used, sums = page[2], {}, {}, {}, {}
for i = 1, #fields, 2 do
  local what, n = fields[i], tonumber(fields[i + 1]) or 0
  if what ~= '~at' and what ~= '~step' and what ~= '~topics' and what ~= '~subs' and not string.match(what, '^[^:]*:$') then
    taken[#taken + 1] = what
    if n > 0 then moved[what] = n end
    local kind = string.match(what, '^([^:]*:).')
    if kind then
      sums[kind] = (sums[kind] or 0) + n
      if what ~= kind .. '~other' then
        local names = count_names(kind)
        used[names] = (used[names] or 0) + #what + 100
      end
    end
  end
end
count_all(moved)
if page[1] == '0' then
  redis.call('DEL', now)
  return {#taken, ''}
end
for i = 1, #taken, 1000 do redis.call('HDEL', now, unpack(taken, i, math.min(#taken, i + 999))) end
for kind, n in pairs(sums) do redis.pcall('HINCRBY', now, kind, -n) end
for names, bytes in pairs(used) do redis.pcall('HINCRBY', now, names, -bytes) end
return {#taken, at}
`)

// begin has the next look find what earlier processes left.
func (f *folds) begin(partitions int, others func() int64) {
	f.others = others
	f.parts = make([]foldPart, partitions)
	for p := range f.parts {
		f.parts[p].since.Store(1)
		f.parts[p].again = 1
	}
	f.on.Store(true)
}

// FoldCounts has the steps of this process count in one hash instead of three, which halves what counting costs, and folds it into
// those three once a second, until ctx ends. others is how many other dispatchers live. What a process that died has left is folded
// when another begins to fold, or by one that counts in the same partition.
func (s *Store) FoldCounts(ctx context.Context, others func() int64) error {
	s.folds.begin(s.Partitions(), others)
	after := foldAfter + rand.N(foldSpread)
	for ctx.Err() == nil {
		s.foldAll(ctx, s.db.Now().Unix(), false)
		now := s.db.Now()
		t := time.NewTimer(now.Truncate(time.Second).Add(time.Second + after).Sub(now))
		select {
		case <-ctx.Done():
		case <-t.C:
		}
		t.Stop()
	}
	s.folds.on.Store(false)
	s.foldAll(context.WithoutCancel(ctx), s.db.Now().Unix()+1, true)
	return nil
}

// foldAll folds what was counted before a second, last in all partitions. What Redis does not take is tried again by the next call.
func (s *Store) foldAll(ctx context.Context, before int64, last bool) {
	ctx, cancel := context.WithTimeout(ctx, foldWithin)
	defer cancel()
	var g errgroup.Group
	g.SetLimit(foldsAtOnce)
	for p := range s.folds.parts {
		part := &s.folds.parts[p]
		since := part.since.Load()
		if since == 0 || since >= before || before < part.next && !last {
			continue
		}
		g.Go(func() error {
			part.since.Store(0)
			found, err := s.fold(ctx, p, since, before)
			switch {
			case err != nil:
				part.since.CompareAndSwap(0, since)
			case found: // a step that counts may still be under way
				part.again = before
				part.since.CompareAndSwap(0, before)
			case since != part.again:
				seldom := max(1, min(foldSeldom, s.folds.others()))
				part.next = before + 1 + rand.Int64N(2*seldom-1)
			}
			return nil // the next call tries again
		})
	}
	_ = g.Wait()
}

// fold folds what a partition counted before a second. It reports whether it found anything.
func (s *Store) fold(ctx context.Context, p int, at, before int64) (found bool, err error) {
	for at < before {
		answer, err := foldScript.Run(ctx, s.db, append(s.secondKeys(p, at), s.keys.StatsNow(p)), at, foldStep).Slice()
		if err != nil {
			return found, rdb.Failed("fold counts", err)
		}
		if len(answer) != 2 {
			return found, rdb.Unreadable("fold counts", answer)
		}
		found = found || answer[0] != int64(0)
		left, _ := answer[1].(string)
		if left == "" {
			break
		}
		if at, err = strconv.ParseInt(left, 10, 64); err != nil {
			return found, rdb.Unreadable("fold counts", answer)
		}
	}
	return found, nil
}
