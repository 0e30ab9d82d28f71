package daemon

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/streams"
)

const (
	// trimEvery is how often the archive is trimmed by age, replaysEvery how often replays are looked for.
	trimEvery, replaysEvery = 10 * time.Second, 2 * time.Second
	// replaysAtOnce is how many replays one dispatcher carries out at a time. One that waits for its subscription for as long as
	// replayPatience lets others have its place.
	replaysAtOnce, replayPatience = 8, 10 * time.Second
)

// archivist trims the archive, and carries out replays that go on in the background. A dispatcher that keeps no archive, and finds
// none when it starts, has nothing to do.
type archivist struct {
	retention time.Duration
	store     *streams.Store
	registry  *streams.Registry
	me        string // this dispatcher
	log       *slog.Logger

	look      chan struct{} // gets a value when a replay may have begun
	untrimmed bool          // the last trim failed, and a WARN said so

	mu      sync.Mutex
	keepers []string             // dispatchers that live and keep an archive
	longest time.Duration        // of their retentions
	running map[string]bool      // ids of replays
	waited  map[string]time.Time // when those that wait for their subscription gave up their place
	work    sync.WaitGroup
}

func newArchivist(retention time.Duration, store *streams.Store, registry *streams.Registry, me string, log *slog.Logger) *archivist {
	return &archivist{
		retention: retention, store: store, registry: registry, me: me, log: log, look: make(chan struct{}, 1),
		running: map[string]bool{}, waited: map[string]time.Time{},
	}
}

// heard takes the list of dispatchers.
func (a *archivist) heard(all []medispatcher.Dispatcher) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.keepers, a.longest = nil, 0
	for i := range all {
		if d := &all[i]; d.Alive && d.Retention > 0 {
			a.keepers, a.longest = append(a.keepers, d.ID), max(a.longest, d.Retention)
		}
	}
}

// mineLocked reports whether this dispatcher carries out the replays of a subscription. Of those that keep an archive all choose
// the same one. If they disagree for a moment, two share the work.
func (a *archivist) mineLocked(sub string) bool {
	return len(a.keepers) == 0 || a.me == streams.HomeOf(sub, a.keepers)
}

// poke says that a replay may have begun. It does not block.
func (a *archivist) poke() {
	select {
	case a.look <- struct{}{}:
	default:
	}
}

// Run works until ctx ends.
func (a *archivist) Run(ctx context.Context) error {
	defer a.work.Wait()
	trim, look := time.NewTicker(trimEvery), time.NewTicker(replaysEvery)
	defer trim.Stop()
	defer look.Stop()
	for left := a.retention > 0 || a.left(ctx); ; {
		if !left { // an archive that others begin is theirs
			<-ctx.Done()
			return nil
		}
		select {
		case <-ctx.Done():
			return nil
		case <-trim.C:
			a.trim(ctx)
			left = a.retention > 0 || a.left(ctx)
		case <-look.C:
			a.replays(ctx)
		case <-a.look:
			a.replays(ctx)
		}
	}
}

// left reports whether there is an archive from before. While Redis is away there may be one.
func (a *archivist) left(ctx context.Context) bool {
	span, err := a.store.ArchiveSpan(ctx)
	return err != nil || span.Messages > 0
}

func (a *archivist) trim(ctx context.Context) {
	a.mu.Lock()
	keep := max(a.retention, a.longest)
	a.mu.Unlock()
	failed := false
	for p := range a.store.Partitions() {
		step, cancel := context.WithTimeout(ctx, stepWithin)
		_, err := a.store.TrimArchive(step, p, keep, keep == 0)
		cancel()
		if err != nil && ctx.Err() == nil && !a.untrimmed && !failed {
			a.log.Warn("the archive cannot be trimmed; it is tried again every 10 s", "partition", p, "error", err)
		}
		failed = failed || err != nil
	}
	a.untrimmed = failed
}

// replays goes on with the replays that are this dispatcher's.
func (a *archivist) replays(ctx context.Context) {
	step, cancel := context.WithTimeout(ctx, stepWithin)
	defer cancel()
	list, err := a.store.Replays(step)
	if err != nil {
		return // the next look tries again
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	list = slices.DeleteFunc(list, func(r medispatcher.Replay) bool { return !r.Background || !a.mineLocked(r.Subscription) })
	slices.SortFunc(list, func(x, y medispatcher.Replay) int { return a.waited[x.ID].Compare(a.waited[y.ID]) })
	left := make(map[string]time.Time, len(a.waited))
	for _, r := range list {
		if at, waited := a.waited[r.ID]; waited {
			left[r.ID] = at
		}
		if a.running[r.ID] || len(a.running) >= replaysAtOnce {
			continue
		}
		a.running[r.ID] = true
		a.work.Go(func() { a.replay(ctx, r) })
	}
	a.waited = left
}

func (a *archivist) replay(ctx context.Context, r medispatcher.Replay) {
	done, err := (&streams.Replayer{Store: a.store, Registry: a.registry, Patience: replayPatience}).Run(ctx, r)
	waits := errors.Is(err, streams.ErrReplayWaits)
	switch {
	case ctx.Err() != nil, waits:
	case err == nil:
		a.log.Info("replayed from the archive", "subscription", r.Subscription, "by", r.By, "since", r.Since, "messages", done.Replayed)
	case errors.Is(err, medispatcher.ErrNotFound):
		a.log.Info("a replay ended: its subscription was removed", "subscription", r.Subscription)
	default:
		a.log.Warn("a replay waits", "subscription", r.Subscription, "error", err)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.running, r.ID)
	if waits {
		a.waited[r.ID] = time.Now()
	}
}
