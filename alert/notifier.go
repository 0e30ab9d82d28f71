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
	// claimFor is longer than a try takes. A lease that ends during a try has the notice sent twice.
	claimFor = 3 * sendWithin
	// lookEvery is how often the outbox is read, for notices of other dispatchers, dead ones among them.
	lookEvery = time.Second
	// maxNotices is how many notices a dispatcher sends at once.
	maxNotices = 16
	// stopWithin is how long tries under way, and the last notes of events, may take when the dispatcher stops.
	stopWithin = 3 * time.Second
	stepWithin = 5 * time.Second
)

// Outbox holds the notices that are not sent yet. All dispatchers share it; package streams implements it.
type Outbox interface {
	// ClaimNotices leases some notices to this dispatcher.
	ClaimNotices(ctx context.Context, limit int, lease time.Duration) ([]medispatcher.Notice, error)
	// MarkNotice writes that a receiver has a notice.
	MarkNotice(ctx context.Context, id int64, receiver string) error
	// SettleNotice removes a notice. unsent: no receiver has it. mine: this dispatcher held its lease.
	SettleNotice(ctx context.Context, n *medispatcher.Notice, outcome string, unsent bool) (mine bool, err error)
	// PostponeNotice ends the lease of a notice, to be claimed again after delay. uncounted: this was no try.
	PostponeNotice(ctx context.Context, id int64, delay time.Duration, uncounted bool) error
}

// NotifierConfig is what a Notifier needs. Every field but URLs is required.
type NotifierConfig struct {
	URLs          []string // default receivers
	Subscriptions func() *medispatcher.Subscriptions
	Texts         *Texts
	Network       *Network
	Log           *slog.Logger
}

// Notifier sends notices. Every dispatcher has one; one of them sends each notice.
type Notifier struct {
	cfg    NotifierConfig
	outbox Outbox
	wake   chan struct{}
	slots  chan struct{}
	counts Counters
	tries  sync.WaitGroup
	// deliver sends to one receiver: Network.send, but in tests.
	deliver func(ctx context.Context, r receiver, id, title, text string, ended func()) error

	mu      sync.Mutex
	sending map[string]*sends    // by receiver
	rests   map[string]time.Time // by receiver that failed: until when it rests
}

// Counters count what a dispatcher sent since its start.
type Counters struct {
	Sent   atomic.Int64 // sends to one receiver that succeeded
	Failed atomic.Int64 // sends to one receiver that failed
	Unsent atomic.Int64 // notices that were given up or had no receiver
}

// NewNotifier makes a notifier. It sends nothing until Run.
func NewNotifier(cfg NotifierConfig, outbox Outbox) *Notifier {
	return &Notifier{
		cfg: cfg, outbox: outbox, wake: make(chan struct{}, 1), slots: make(chan struct{}, maxNotices),
		sending: map[string]*sends{}, rests: map[string]time.Time{}, deliver: cfg.Network.send,
	}
}

// Wake makes the notifier read the outbox now. It does not block.
func (n *Notifier) Wake() {
	select {
	case n.wake <- struct{}{}:
	default:
	}
}

// Counters are the notifier's own.
func (n *Notifier) Counters() *Counters { return &n.counts }

// Run sends notices until ctx ends. Tries under way then have a moment to end; what they leave, the other
// dispatchers send.
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
			n.tries.Wait()
			return nil
		case <-tick.C:
		case <-n.wake:
		}
		n.look(ctx, work)
	}
}

// look claims as many notices as can be sent now, and sends them.
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
		n.tries.Go(func() {
			defer func() { <-n.slots; n.Wake() }()
			n.handle(work, &notices[i])
		})
	}
}

// to lists who receives the notices of a subscription ("" for the whole).
func (n *Notifier) to(subscription string) []receiver {
	if urls := ownReceivers(n.cfg.Subscriptions(), subscription); len(urls) > 0 {
		return receivers(urls)
	}
	return receivers(n.cfg.URLs)
}

// ownReceivers are the URLs of the receivers that a subscription ("": the whole) has for itself.
func ownReceivers(subs *medispatcher.Subscriptions, id string) []string {
	sub := subs.Get(id)
	if sub == nil {
		return nil
	}
	return sub.Alert.URLs
}

// Test sends one notice to the receivers of a subscription ("" for the default ones) and reports the result
// of each. It does not try again. The report is empty where there are no receivers.
func (n *Notifier) Test(ctx context.Context, subscription, env, host string) []medispatcher.Receipt {
	now := time.Now()
	notice := medispatcher.Notice{
		Kind: medispatcher.NoticeAlert, Since: now, At: now,
		Alert: medispatcher.Alert{Rule: ruleTest, Subscription: subscription, Env: env, Host: host},
	}
	notice.OwnReceivers = len(ownReceivers(n.cfg.Subscriptions(), subscription)) > 0
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
