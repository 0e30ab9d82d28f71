package alert

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/solate/medispatcher"
)

const (
	// maxTries at a notice take about seven minutes, and longer where each hangs.
	maxTries = 8
	// maxAtOnce sends go to one receiver at once: one that hangs must not take all there are.
	maxAtOnce = 2
	// restFor is how long a receiver that failed is not asked again.
	restFor = 5 * time.Second
)

// handle makes one try at a notice, and says what became of it.
func (n *Notifier) handle(ctx context.Context, notice *medispatcher.Notice) {
	to := n.to(notice.Subscription)
	log := n.cfg.Log.With("rule", notice.Rule, "subscription", notice.Subscription, "notice", notice.ID)
	text := n.cfg.Texts.Text(notice)
	title, _, _ := strings.Cut(text, "\n")
	if len(to) == 0 {
		n.counts.Unsent.Add(1)
		log.Warn("alert without receivers: set MEDIS_ALERT_URLS, or alert.urls of the subscription", "text", title)
		n.settle(ctx, log, notice, "no receivers", true)
		return
	}
	failed, have := n.try(ctx, notice, to, title, text)
	switch {
	case len(failed) == 0:
		log.Info("alert sent", "text", title, "receivers", len(to))
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
		log.Warn("alert not sent yet", "text", title, "again_in", again.String(), "failed", strings.Join(failed, "; "))
		n.postpone(ctx, log, notice, again, false)
	}
}

// try sends a notice to everybody who does not have it, and lists who failed and why.
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
				_ = n.outbox.MarkNotice(step, notice.ID, r.name) // or else it may come twice
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

// send sends to a receiver, unless that hangs or has just failed.
func (n *Notifier) send(ctx context.Context, r receiver, id, title, text string) error {
	n.mu.Lock()
	if rest := time.Until(n.rests[r.name]); rest > 0 || n.sending[r.name] >= maxAtOnce {
		n.mu.Unlock()
		return fmt.Errorf("it failed or was slow just now, and rests for a moment")
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
		log.Warn("what became of an alert could not be noted; it may be sent again", "error", err)
	}
}

func (n *Notifier) postpone(ctx context.Context, log *slog.Logger, notice *medispatcher.Notice, delay time.Duration, uncounted bool) {
	step, cancel := context.WithTimeout(context.WithoutCancel(ctx), stepWithin)
	defer cancel()
	if err := n.outbox.PostponeNotice(step, notice.ID, delay, uncounted); err != nil {
		log.Warn("an alert could not be put off; it is tried again when its lease ends", "error", err)
	}
}

// backoff is how long a notice waits after a try that failed: 5 s, doubling to 2 min.
func backoff(tries int) time.Duration {
	return min(5*time.Second<<min(tries-1, 10), 2*time.Minute)
}
