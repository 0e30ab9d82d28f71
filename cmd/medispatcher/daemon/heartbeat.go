package daemon

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/push"
	"github.com/solate/medispatcher/streams"
)

// heartbeat says that this dispatcher is alive and what it holds back, and counts the others that are alive.
type heartbeat struct {
	info      medispatcher.Dispatcher
	every     time.Duration
	store     *streams.Store
	ringer    *streams.Ringer
	scheduler *push.Scheduler
	logs      *logWatcher
	hearing   *hearing
	divider   *divider
	log       *slog.Logger

	heard    []func(all []medispatcher.Dispatcher) // are told of the list of dispatchers after each heartbeat
	first    chan struct{}                         // closed after the first heartbeat
	breakers chan struct{}                         // gets a value when a breaker opened or closed
	soon     chan struct{}                         // gets a value when a heartbeat is to come at once
	said     string                                // what the others were told of the shares
	peers    atomic.Int64                          // other dispatchers that are alive
}

func newHeartbeat(info medispatcher.Dispatcher, every time.Duration, store *streams.Store, ringer *streams.Ringer, scheduler *push.Scheduler, logs *logWatcher, hearing *hearing, divider *divider, log *slog.Logger) *heartbeat {
	return &heartbeat{
		info: info, every: every, store: store, ringer: ringer, scheduler: scheduler, logs: logs, hearing: hearing, divider: divider, log: log,
		first: make(chan struct{}), breakers: make(chan struct{}, 1), soon: make(chan struct{}, 1),
	}
}

// breakersGather is how long a change of a breaker waits for others: subscriptions that share a target change together.
const breakersGather = 100 * time.Millisecond

// breakerChanged makes the next heartbeat come at once. It does not block.
func (h *heartbeat) breakerChanged() {
	select {
	case h.breakers <- struct{}{}:
	default: // the heartbeat that is about to come reports this one, too
	}
}

// soonGathers is how long what is told of shares waits for more of it: all dispatchers tell at the same time.
const soonGathers = 20 * time.Millisecond

// now makes the next heartbeat come at once. It does not block.
func (h *heartbeat) now() {
	select {
	case h.soon <- struct{}{}:
	default:
	}
}

// listed: another dispatcher came, went, or divides limits anew.
func (h *heartbeat) listed() {
	if h.scheduler.Divides() {
		h.now()
	}
}

// gone: another dispatcher has ended.
func (h *heartbeat) gone(id string) {
	h.divider.gone(id)
	h.listed()
}

// forgot: a dead dispatcher is off the list. All divide anew.
func (h *heartbeat) forgot(ctx context.Context) {
	if h.scheduler.Divides() {
		_ = h.store.RingListed(ctx) // a hint
		h.now()
	}
}

// apply has all hear of the shares at once where a subscription begins to have them.
func (h *heartbeat) apply(changes []medispatcher.SubscriptionChange) {
	if slices.ContainsFunc(changes, func(c medispatcher.SubscriptionChange) bool {
		return c.Now != nil && c.Now.Divided() && (c.Was == nil || !c.Was.Divided())
	}) {
		h.now()
	}
}

// leave has this dispatcher give up its shares, and say so.
func (h *heartbeat) leave() {
	h.divider.leave()
	h.now()
}

// Run beats until ctx ends.
func (h *heartbeat) Run(ctx context.Context) error {
	tick := time.NewTicker(h.every)
	defer tick.Stop()
	for {
		h.beat(ctx)
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		case <-h.breakers:
			medispatcher.Sleep(ctx, breakersGather)
		case <-h.soon:
			medispatcher.Sleep(ctx, soonGathers)
		}
	}
}

func (h *heartbeat) beat(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, h.info.DeadAfter/2)
	defer cancel()
	info, held := h.info, h.scheduler.Held()
	info.LogProblem = h.logs.problemNow()
	info.Held, info.HeldTotal = held[:min(len(held), medispatcher.MaxHeld)], len(held)
	info.Short, _ = h.scheduler.Shortage()
	h.divider.say(&info)
	before, sent := h.store.ClockAhead(), time.Now()
	if err := h.store.Heartbeat(ctx, info); err != nil {
		return
	}
	h.divider.alive(sent)
	h.tell(ctx, &info)
	first := h.hearing.heard(time.Now())
	if first {
		close(h.first)
	}
	if by := h.store.ClockAhead() - before; !first && by.Abs() > time.Second {
		h.log.Warn("the clock of Redis was set; what waits still waits as long as planned", "by", (-by).Round(time.Millisecond).String())
	}
	h.countPeers(ctx)
}

// tell tells the others that this dispatcher says something else of the shares than before.
func (h *heartbeat) tell(ctx context.Context, info *medispatcher.Dispatcher) {
	say := fmt.Sprint(info.Division, info.Over, info.AllOver, info.Leaving)
	if say == h.said {
		return
	}
	if joined := strings.HasPrefix(h.said, medispatcher.Undivided); joined || h.scheduler.Divides() {
		_ = h.store.RingListed(ctx) // a hint
	}
	h.said = say
}

func (h *heartbeat) countPeers(ctx context.Context) {
	all, err := h.store.Dispatchers(ctx)
	if err != nil {
		return
	}
	n := int64(0)
	for _, other := range all {
		if other.Alive && other.ID != h.info.ID {
			n++
		}
	}
	h.ringer.Note(all)
	for _, hear := range h.heard {
		hear(all)
	}
	if h.divider.heard(all, h.store.Silence, time.Now()) {
		h.now()
	}
	h.scheduler.Among(n > 0)
	if before := h.peers.Swap(n); before != n {
		h.log.Info("dispatchers on this Redis", "others", n)
	}
	for _, id := range h.store.TakeLate() {
		h.log.Warn("a dispatcher of an earlier version joined; stop it: it delivers the copies that newer ones wrote before as empty messages", "dispatcher", id)
	}
}
