package alert

import (
	"context"
	"errors"
	"log/slog"
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
)

// errResting is why a notice is not sent to a receiver that hangs or failed just now.
var errResting = errors.New("it failed or was slow just now, so nothing is sent to it for a moment")

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
	failed, have := n.try(ctx, notice, to, title, text)
	switch {
	case len(failed) == 0:
		log.Info(LineSent, "text", title, "receivers", len(to))
		n.settle(ctx, log, notice, "sent", false)
	case ctx.Err() != nil: // stopping
		n.postpone(ctx, log, notice, 0, true)
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
// counts those that have the notice now.
func (n *Notifier) try(ctx context.Context, notice *medispatcher.Notice, to []receiver, title, text string) (failed []string, have int) {
	results := make([]error, len(to))
	var sends sync.WaitGroup
	for i, r := range to {
		if slices.Contains(notice.Done, r.name) {
			continue
		}
		sends.Go(func() {
			results[i] = n.send(ctx, r, strconv.FormatInt(notice.ID, 10)+"."+strconv.FormatInt(notice.At.UnixMilli(), 10), title, text)
			if results[i] == nil {
				step, cancel := context.WithTimeout(context.WithoutCancel(ctx), stepWithin)
				defer cancel()
				_ = n.outbox.MarkNotice(step, notice.ID, r.name) // if it fails, the receiver may get the notice twice
			}
		})
	}
	sends.Wait()
	for i, err := range results {
		if err != nil {
			failed = append(failed, to[i].show()+": "+err.Error())
		} else {
			have++
		}
	}
	return failed, have
}

// send sends to a receiver, unless that hangs or failed just now.
func (n *Notifier) send(ctx context.Context, r receiver, id, title, text string) error {
	n.mu.Lock()
	if rest := time.Until(n.rests[r.name]); rest > 0 || n.sending[r.name] >= maxAtOnce {
		n.mu.Unlock()
		return errResting
	}
	n.sending[r.name]++
	n.mu.Unlock()
	err := n.deliver(ctx, r, id, title, text, func() {
		n.mu.Lock()
		defer n.mu.Unlock()
		if n.sending[r.name]--; n.sending[r.name] == 0 {
			delete(n.sending, r.name)
		}
	})
	n.mu.Lock()
	defer n.mu.Unlock()
	if err != nil {
		n.counts.Failed.Add(1)
		n.rests[r.name] = time.Now().Add(restFor)
		return err
	}
	n.counts.Sent.Add(1)
	delete(n.rests, r.name)
	return nil
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
