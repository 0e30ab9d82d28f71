package streams

import (
	"context"
	"errors"
	"time"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/streams/internal/rdb"
)

// Decide is the decision of a worker about one entry, for tests that play the worker step by step.
func (w *FanoutWorker) Decide(e Entry, router *medispatcher.Router) Routing {
	return w.decide(e, router)
}

// NewEntry is an entry with the given names and values.
func NewEntry(id string, pairs ...string) Entry { return Entry{ID: id, fields: rdb.FieldsOf(pairs...)} }

// UseClock makes a store without heartbeats keep time by mono, as a store with heartbeats does. It
// begins with the current time of Redis.
func (s *Store) UseClock(ctx context.Context, mono func() time.Duration) error {
	s.db.Clock = &rdb.Clock{Mono: mono}
	err := s.db.Hear(ctx)
	s.db.Clock.Beat()
	return err
}

// UseMonotonic makes a store keep time by mono from its first heartbeat on.
func (s *Store) UseMonotonic(mono func() time.Duration) { s.db.Clock = &rdb.Clock{Mono: mono} }

// WriteLayout makes a store write copies in this layout, whoever lives. With 0 it decides by the dispatchers,
// and does not wait after one that reads only the first.
func (s *Store) WriteLayout(n int) { s.layout.fixed, s.layout.calm = n, 0 }

// WritesWhole reports whether a store writes copies in the newest layout now.
func (s *Store) WritesWhole() bool { return s.layout.whole() }

// Now is the shared time of this store.
func (s *Store) Now() time.Time { return s.db.Now() }

// Renew is the step of a worker that renews an incoming stream whose ids are used up.
func Renew(ctx context.Context, s *Store, p int) (int, error) { return s.renewIncoming(ctx, p) }

// DelayedUntil is when a delayed message is due.
func (s *Store) DelayedUntil(accepted time.Time, delay time.Duration) time.Time {
	return s.db.DelayedUntil(accepted, delay)
}

// CopyLayout decides in which layout copies are written.
type CopyLayout = copyLayout

// Note is a look at the dispatchers.
func (l *copyLayout) Note(asked time.Time, list []medispatcher.Dispatcher, now time.Time) {
	l.noteDispatchers(asked, list, now)
}

// WholeAfter reports whether copies are written in the newest layout after some looks.
func WholeAfter(looks ...func(l *CopyLayout)) bool {
	l := copyLayout{calm: calm}
	for _, look := range looks {
		look(&l)
	}
	return l.whole()
}

// Audit is audit.
func (r *Registry) Audit(ctx context.Context, after string) (string, error) {
	return r.audit(ctx, after)
}

// Home is the home of a channel, by id, as a dispatcher knows it.
func (r *Ringer) Home(c medispatcher.Channel) string {
	if home, elsewhere := r.homes.home(c); elsewhere {
		return home.id
	}
	return r.homes.me
}

// Flush sends the hints that wait, where Run does not.
func (r *Ringer) Flush(ctx context.Context) error {
	r.send(ctx)
	return nil
}

// IsInHand reports whether lines stay because something may be in flight.
func IsInHand(err error) bool { return errors.Is(err, errInHand) }

// Asked is how many channels are to be looked at.
func (w *LineWorker) Asked() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.asked)
}

// BeginToFold, CountsIn and FoldBefore are FoldCounts in the hands of a test.
func (s *Store) BeginToFold(others int64) {
	s.folds.begin(s.Partitions(), func() int64 { return others })
}

func (s *Store) CountsIn(p int, second int64) { s.folds.counts(p, second) }

func (s *Store) FoldBefore(ctx context.Context, second int64) { s.foldAll(ctx, second, false) }

// CutTogether is cutTogether.
const CutTogether = cutTogether

// CompareIDs is compareIDs for tests outside the package.
var CompareIDs = compareIDs
