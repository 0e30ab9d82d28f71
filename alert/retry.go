package alert

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/solate/medispatcher"
)

const (
	// maxTries is how often a notice is tried: for about seven minutes, longer if the receiver hangs.
	maxTries = 8
	// maxAtOnce is how many sends go to one receiver at once. One that hangs must not hold them all.
	maxAtOnce = 2
	// restFor is how long nothing is sent to a receiver that failed.
	restFor = 5 * time.Second
	// hangsAfter: a receiver hangs if no send to it ended for so long.
	hangsAfter = sendWithin
	// waitWithin is how long a notice waits for its turn. As many wait as are sent at once; the others come again after about
	// busyFor, so that they do not hold up notices to other receivers.
	waitWithin = 3 * time.Second
	busyFor    = 2 * time.Second
)

var (
	// errResting is why a notice is not sent to a receiver that hangs or failed just now.
	errResting = errors.New("it failed or was slow just now, so nothing is sent to it for a moment")
	// errBusy is why a notice is not sent to a receiver that takes others. That is no try: otherwise, of many alerts at
	// once, most would be given up though their receiver works.
	errBusy = errors.New("it is busy with other notices")
)

// sends are those to one receiver.
type sends struct {
	n     int           // under way
	waits int           // notices that wait for their turn
	moved time.Time     // when a send ended last, or the first one began
	ended chan struct{} // closed when a send ends
}

// handle tries once to send a notice, and decides what becomes of it: it is settled as sent, tried again
// later, or given up. A notice that is given up is an ERROR line with the whole text.
func (n *Notifier) handle(ctx context.Context, notice *medispatcher.Notice) {
	to := n.to(notice.Subscription)
	log := n.cfg.Log.With("rule", notice.Rule, "subscription", notice.Subscription, "notice", notice.ID)
	text := n.cfg.Texts.Text(notice)
	title, _, _ := strings.Cut(text, "\n")
	if len(to) == 0 {
		n.counts.Unsent.Add(1)
		log.Warn(LineNoReceivers, "text", title)
		n.settle(ctx, log, notice, "no receivers", true)
		return
	}
	failed, have, busy := n.try(ctx, notice, to, title, text)
	switch {
	case len(failed) == 0:
		log.Info(LineSent, "text", title, "receivers", len(to))
		n.settle(ctx, log, notice, "sent", false)
	case ctx.Err() != nil: // stopping
		n.postpone(ctx, log, notice, 0, true)
	case busy:
		n.postpone(ctx, log, notice, busyFor/2+rand.N(busyFor), true)
	case notice.Tries >= maxTries:
		n.counts.Unsent.Add(1)
		outcome := "not sent: " + strings.Join(failed, "; ")
		log.Error("alert not sent", "text", text, "receivers", len(to), "have_it", have, "failed", strings.Join(failed, "; "))
		n.settle(ctx, log, notice, cut(outcome, maxLine), have == 0)
	default:
		again := backoff(notice.Tries)
		log.Warn(LineUnsent, "text", title, "again_in", again.String(), "failed", strings.Join(failed, "; "))
		n.postpone(ctx, log, notice, again, false)
	}
}

// try sends a notice to each receiver that does not have it. failed lists those that failed and why; have
// counts those that have the notice now. busy: nothing is wrong but that receivers are busy.
func (n *Notifier) try(ctx context.Context, notice *medispatcher.Notice, to []receiver, title, text string) (failed []string, have int, busy bool) {
	results := make([]error, len(to))
	var under sync.WaitGroup
	for i, r := range to {
		if slices.Contains(notice.Done, r.name) {
			continue
		}
		under.Go(func() {
			results[i] = n.send(ctx, r, strconv.FormatInt(notice.ID, 10)+"."+strconv.FormatInt(notice.At.UnixMilli(), 10), title, text)
			if results[i] == nil {
				step, cancel := context.WithTimeout(context.WithoutCancel(ctx), stepWithin)
				defer cancel()
				_ = n.outbox.MarkNotice(step, notice.ID, r.name) // if it fails, the receiver may get the notice twice
			}
		})
	}
	under.Wait()
	busy = true
	for i, err := range results {
		if err != nil {
			busy = busy && errors.Is(err, errBusy)
			failed = append(failed, to[i].show()+": "+err.Error())
		} else {
			have++
		}
	}
	return failed, have, busy
}

// send sends to a receiver, unless that hangs or failed just now.
func (n *Notifier) send(ctx context.Context, r receiver, id, title, text string) error {
	if err := n.begin(ctx, r); err != nil {
		return err
	}
	err := n.deliver(ctx, r, id, title, text, func() { n.end(r) })
	n.mu.Lock()
	defer n.mu.Unlock()
	if err != nil {
		n.counts.Failed.Add(1)
		now := time.Now()
		maps.DeleteFunc(n.rests, func(_ string, until time.Time) bool { return !until.After(now) }) // nobody may send to them again
		n.rests[r.name] = now.Add(restFor)
		return err
	}
	n.counts.Sent.Add(1)
	delete(n.rests, r.name)
	return nil
}

// begin waits a while until something may be sent to a receiver. The error is errResting, errBusy or that of ctx.
func (n *Notifier) begin(ctx context.Context, r receiver) error {
	began := time.Now()
	n.mu.Lock()
	defer n.mu.Unlock()
	for {
		now, under := time.Now(), n.sending[r.name]
		switch {
		case n.rests[r.name].After(now):
			return errResting
		case under == nil:
			n.sending[r.name] = &sends{n: 1, moved: now, ended: make(chan struct{})}
			return nil
		case under.n < maxAtOnce:
			under.n++
			return nil
		}
		hangsIn, waits := hangsAfter-now.Sub(under.moved), waitWithin-now.Sub(began)
		switch {
		case hangsIn <= 0:
			return errResting
		case waits <= 0 || under.waits >= maxAtOnce:
			return errBusy
		}
		under.waits++
		ended := under.ended
		n.mu.Unlock()
		timer := time.NewTimer(min(hangsIn, waits))
		select {
		case <-ctx.Done():
		case <-ended:
		case <-timer.C:
		}
		timer.Stop()
		n.mu.Lock()
		under.waits--
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
}

// end notes that a send to a receiver has ended.
func (n *Notifier) end(r receiver) {
	n.mu.Lock()
	defer n.mu.Unlock()
	under := n.sending[r.name]
	under.n, under.moved = under.n-1, time.Now()
	close(under.ended)
	under.ended = make(chan struct{})
	if under.n == 0 {
		delete(n.sending, r.name)
	}
}

func (n *Notifier) settle(ctx context.Context, log *slog.Logger, notice *medispatcher.Notice, outcome string, unsent bool) {
	step, cancel := context.WithTimeout(context.WithoutCancel(ctx), stepWithin)
	defer cancel()
	if _, err := n.outbox.SettleNotice(step, notice, outcome, unsent); err != nil {
		log.Warn("cannot write that an alert is settled; it may be sent again", "error", err)
	}
}

func (n *Notifier) postpone(ctx context.Context, log *slog.Logger, notice *medispatcher.Notice, delay time.Duration, uncounted bool) {
	step, cancel := context.WithTimeout(context.WithoutCancel(ctx), stepWithin)
	defer cancel()
	if err := n.outbox.PostponeNotice(step, notice.ID, delay, uncounted); err != nil {
		log.Warn("cannot postpone an alert; it is tried again when its lease ends", "error", err)
	}
}

// backoff is how long a notice waits after so many tries: 5 s, doubling up to 2 min.
func backoff(tries int) time.Duration {
	return min(5*time.Second<<min(tries-1, 10), 2*time.Minute)
}
