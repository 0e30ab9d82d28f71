package alert

import (
	"context"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/solate/medispatcher"
)

const (
	// claimFor is longer than a try takes: a notice that is claimed twice would be sent twice.
	claimFor = 3 * sendWithin
	// lookEvery finds notices that other dispatchers made, or died with.
	lookEvery = time.Second
	// maxNotices are sent at once by a dispatcher.
	maxNotices = 16
	// stopWithin bounds what is under way when the dispatcher stops.
	stopWithin = 3 * time.Second
	stepWithin = 5 * time.Second
)

// Outbox is the notices that are not sent yet. All dispatchers share it.
type Outbox interface {
	// ClaimNotices takes some for the time of a lease.
	ClaimNotices(ctx context.Context, limit int, lease time.Duration) ([]medispatcher.Notice, error)
	// MarkNotice notes that a receiver has one.
	MarkNotice(ctx context.Context, id int64, receiver string) error
	// SettleNotice ends one; unsent: nobody has it.
	SettleNotice(ctx context.Context, n *medispatcher.Notice, outcome string, unsent bool) (mine bool, err error)
	// PostponeNotice gives one back; uncounted: it was not tried.
	PostponeNotice(ctx context.Context, id int64, delay time.Duration, uncounted bool) error
}

// NotifierConfig says to whom a Notifier sends. All is required but URLs.
type NotifierConfig struct {
	URLs          []string // default receivers
	Subscriptions func() map[string]medispatcher.Subscription
	Texts         *Texts
	Network       *Network
	Log           *slog.Logger
}

// Notifier sends notices. Every dispatcher has one; each notice is taken by one of them.
type Notifier struct {
	cfg    NotifierConfig
	outbox Outbox
	wake   chan struct{}
	slots  chan struct{}
	counts Counters
	abroad sync.WaitGroup
	// deliver sends to one receiver; it is the network's, and in tests another one.
	deliver func(ctx context.Context, r receiver, id, title, text string, ended func()) error

	mu      sync.Mutex
	sending map[string]int       // sends under way, by receiver
	rests   map[string]time.Time // receivers that failed, until when they rest
}

// Counters count what a dispatcher's notices came to, since its start.
type Counters struct {
	Sent   atomic.Int64 // to one receiver
	Failed atomic.Int64 // tries at one receiver
	Unsent atomic.Int64 // notices that were given up, or had no receiver
}

// NewNotifier makes a notifier that sends nothing until Run.
func NewNotifier(cfg NotifierConfig, outbox Outbox) *Notifier {
	return &Notifier{
		cfg: cfg, outbox: outbox, wake: make(chan struct{}, 1), slots: make(chan struct{}, maxNotices),
		sending: map[string]int{}, rests: map[string]time.Time{}, deliver: cfg.Network.send,
	}
}

// Wake says that there may be a notice. It does not block.
func (n *Notifier) Wake() {
	select {
	case n.wake <- struct{}{}:
	default:
	}
}

// Counters are the notifier's own.
func (n *Notifier) Counters() *Counters { return &n.counts }

// Run sends until ctx ends. What is under way then has a moment to end; the rest is left to the
// other dispatchers.
func (n *Notifier) Run(ctx context.Context) error {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	work, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	for {
		select {
		case <-ctx.Done():
			timer := time.AfterFunc(stopWithin, stop)
			defer timer.Stop()
			n.abroad.Wait()
			return nil
		case <-tick.C:
		case <-n.wake:
		}
		n.look(ctx, work)
	}
}

// look takes as many notices as can be sent now.
func (n *Notifier) look(ctx, work context.Context) {
	free := cap(n.slots) - len(n.slots)
	if free == 0 {
		return // the next look finds them
	}
	step, cancel := context.WithTimeout(ctx, stepWithin)
	defer cancel()
	notices, err := n.outbox.ClaimNotices(step, free, claimFor)
	if err != nil {
		return // Redis is away; readiness says so
	}
	for i := range notices {
		n.slots <- struct{}{}
		n.abroad.Go(func() {
			defer func() { <-n.slots; n.Wake() }()
			n.handle(work, &notices[i])
		})
	}
}

// to are the receivers of a notice.
func (n *Notifier) to(subscription string) []receiver {
	if urls := n.cfg.Subscriptions()[subscription].Alert.URLs; len(urls) > 0 {
		return receivers(urls)
	}
	return receivers(n.cfg.URLs)
}

// Test sends a notice to the receivers in force, of a subscription or the default ones, at once and
// once, and says what became of it at each. None: there are no receivers.
func (n *Notifier) Test(ctx context.Context, subscription, env, host string) []medispatcher.Receipt {
	now := time.Now()
	notice := medispatcher.Notice{
		Kind: medispatcher.NoticeAlert, Since: now, At: now,
		Alert: medispatcher.Alert{Rule: ruleTest, Subscription: subscription, Env: env, Host: host},
	}
	notice.OwnReceivers = len(n.cfg.Subscriptions()[subscription].Alert.URLs) > 0
	text := n.cfg.Texts.Text(&notice)
	title, _, _ := strings.Cut(text, "\n")
	to := n.to(subscription)
	receipts := make([]medispatcher.Receipt, len(to))
	var sends sync.WaitGroup
	for i, r := range to {
		sends.Go(func() {
			receipts[i] = medispatcher.Receipt{Receiver: r.show(), Sent: true}
			id := "test." + strconv.FormatInt(now.UnixNano(), 10)
			if err := n.deliver(ctx, r, id, title, text, func() {}); err != nil {
				receipts[i].Sent, receipts[i].Error = false, err.Error()
			}
		})
	}
	sends.Wait()
	return receipts
}
