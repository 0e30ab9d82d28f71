package streams

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/streams/internal/rdb"
)

// The active set of a partition names the subscriptions whose channels may hold work, and the set of dead letters
// those that may have dead letters. What looks again and again walks these, so an idle channel costs nothing.
//
// A step that adds to a channel, or leaves something pending there, adds the name. A name leaves only in
// auditScript, which counts what vanished and finds the channel empty in one step. So a name may be there for
// nothing, but is never missing where something is. Dispatchers of earlier versions do not write the sets, and a
// command typed by hand may delete them. So they count only while they hold activeBuilt, which is
// written behind a walk through every channel, and while no such dispatcher is on the list.

// activeBuilt is a member of a complete set. No subscription has such an id.
const activeBuilt = "~built"

// activeTrust is whether other dispatchers keep the active sets.
type activeTrust struct {
	mu     sync.Mutex
	looked time.Time // at the list of dispatchers
	kept   bool      // one that lives keeps the sets, and all on the list do
	walked []bool    // by partition: this process walked through every channel since that became so
}

// noteDispatchers takes the list of dispatchers as of some time.
func (a *activeTrust) noteDispatchers(asked time.Time, list []medispatcher.Dispatcher) {
	alive, old := false, false
	for i := range list {
		alive = alive || list[i].Alive
		old = old || !list[i].Active
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if asked.Before(a.looked) {
		return // a later look is over already
	}
	a.looked, a.kept = asked, alive && !old
	if old {
		clear(a.walked)
	}
}

// keptSets reports whether the sets may count, by a look at the dispatchers that is not older than lookValid.
func (s *Store) keptSets(ctx context.Context) (bool, error) {
	a := &s.active
	a.mu.Lock()
	fresh, kept := time.Since(a.looked) < lookValid, a.kept
	a.mu.Unlock()
	if fresh {
		return kept, nil
	}
	if _, err := s.Dispatchers(ctx); err != nil {
		return false, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.kept, nil
}

func (a *activeTrust) walkedAll(p int) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return p < len(a.walked) && a.walked[p]
}

func (a *activeTrust) noteWalked(p int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for len(a.walked) <= p {
		a.walked = append(a.walked, false)
	}
	a.walked[p] = a.kept
}

// Active lists the subscriptions of a partition whose channels may hold something, sorted. complete says that no
// other channel does; without it every channel has to be looked at.
func (s *Store) Active(ctx context.Context, p int) (subs []string, complete bool, err error) {
	if kept, err := s.keptSets(ctx); err != nil || !kept {
		return nil, false, err
	}
	list := s.activeMembers(ctx, s.keys.Active(p))[0]
	return list.subs, list.built, nil
}

// MayHold lists, for each partition, the subscriptions that may have messages or dead letters, sorted. It is nil for a
// partition where that is not known: any may.
func (s *Store) MayHold(ctx context.Context) ([][]string, error) {
	subs := make([][]string, s.db.Partitions())
	if kept, err := s.keptSets(ctx); err != nil || !kept {
		return subs, err
	}
	sets := make([]string, 0, 2*len(subs))
	for p := range subs {
		sets = append(sets, s.keys.Active(p), s.keys.ActiveDead(p))
	}
	lists := s.activeMembers(ctx, sets...)
	for p := range subs {
		if active, dead := lists[2*p], lists[2*p+1]; active.built && dead.built {
			subs[p] = append(append([]string{}, active.subs...), dead.subs...)
			slices.Sort(subs[p])
			subs[p] = slices.Compact(subs[p])
		}
	}
	return subs, nil
}

// members are those of one set.
type members struct {
	subs  []string // sorted
	built bool
}

// activeMembers reads sets, in pages. All share the first round trip. One that cannot be read is not built: the key is of another
// type, say, or an earlier version's user may not read sets.
func (s *Store) activeMembers(ctx context.Context, sets ...string) []members {
	lists := make([]members, len(sets))
	cursors := make([]string, len(sets))
	for i := range cursors {
		cursors[i] = "0"
	}
	for left := len(sets); left > 0; {
		pipe := s.db.Pipe(ctx)
		pages := make([]*rdb.Reply[rdb.Page], len(sets))
		for i, cursor := range cursors {
			if cursor != "" {
				pages[i] = rdb.Scan(pipe, "SSCAN", sets[i], cursor, "COUNT", rdb.SweepChunk)
			}
		}
		_ = pipe.Run() // each command has its own error
		left = 0
		for i, page := range pages {
			if page == nil {
				continue
			}
			got, err := page.Result()
			if cursors[i] = ""; err != nil {
				lists[i] = members{}
				continue
			}
			if got.Next != "0" {
				cursors[i] = got.Next
				left++
			}
			lists[i].subs = append(lists[i].subs, got.Items...)
		}
	}
	for i := range lists {
		l := &lists[i]
		l.subs = slices.DeleteFunc(l.subs, func(sub string) bool {
			l.built = l.built || sub == activeBuilt
			return strings.HasPrefix(sub, "~")
		})
		slices.Sort(l.subs)
		l.subs = slices.Compact(l.subs)
	}
	return lists
}

// markBuilt writes that the sets of a partition are complete, or that they are not.
func (s *Store) markBuilt(ctx context.Context, p int, built bool) {
	what := "SREM"
	if built {
		what = "SADD"
	}
	pipe := s.db.Pipe(ctx)
	for _, key := range []string{s.keys.Active(p), s.keys.ActiveDead(p)} {
		rdb.Int(pipe, what, key, activeBuilt)
	}
	_ = pipe.Run() // if it fails, the next sweep tries again
}
