package web

import (
	"context"
	"errors"
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/cmd/medispatcher/operate"
	"github.com/solate/medispatcher/cmd/medispatcher/panel/problem"
)

const (
	failingShown = 10
	changesShown = 20
)

type subscriptionData struct {
	Sub      medispatcher.Subscription // masked
	Rev      string
	Channel  medispatcher.ChannelStatus
	Stats    medispatcher.SubscriptionStats
	Alive    int      // dispatchers
	Earlier  []string // that know nothing of shares
	Findings []finding
	Failing  []medispatcher.Failing
	Groups   []fieldGroup
	Changes  []change
	Unusable string // what is wrong with the stored document
	InFlight int64
	Archive  *medispatcher.ArchiveSpan // nil: nothing is kept
	Replay   *medispatcher.ReplayState // nil: none is under way
}

// change is an entry of the history as the page shows it.
type change struct {
	medispatcher.Change
	Lines []string
}

func (p *pages) subscription(w http.ResponseWriter, r *http.Request) error {
	ctx, id := r.Context(), r.PathValue("id")
	if err := medispatcher.CheckSubscriptionID(id); err != nil {
		return err
	}
	sub, rev, err := p.registry.Get(ctx, id)
	d := subscriptionData{Rev: rev}
	problems, unusable := errors.AsType[medispatcher.Problems](err)
	switch {
	case unusable: // its messages are still there, and saving the form repairs it
		d.Unusable = problem.Line(problems)
		sub = p.cfg.Rules.Defaults
		sub.ID = id
	case err != nil:
		return err
	}
	var dispatchers []medispatcher.Dispatcher
	if d.Channel, dispatchers, err = p.one(ctx, &sub); err != nil {
		return err
	}
	for _, other := range dispatchers {
		if other.Alive {
			d.Alive++
			if sub.Divided() && other.SharesNothing() {
				d.Earlier = append(d.Earlier, other.ID)
			}
		}
	}
	stats, err := p.store.Stats(ctx, []string{id}, nil)
	if err != nil {
		return err
	}
	d.Stats = stats.Subscriptions[0]
	if d.Failing, err = p.store.Failing(ctx, id, failingShown); err != nil {
		return err
	}
	if d.Archive, d.Replay, err = operate.ArchiveFor(ctx, p.archive, id); err != nil {
		return err
	}
	d.InFlight = max(0, d.Channel.Buried-d.Channel.Retrying)
	d.Sub = sub.Masked()
	firing, err := p.firingFindings(ctx, id)
	if err != nil {
		return err
	}
	d.Findings = worstFirst(append(subscriptionFindings(&d), firing...))
	changes, err := p.store.Changes(ctx, id, "", changesShown)
	if err != nil {
		return err
	}
	for _, c := range changes {
		d.Changes = append(d.Changes, change{c, changeLines(c)})
	}
	if r.Header.Get(liveHeader) == "" { // the form does not update itself
		d.Groups = p.fields(&d.Sub)
	}
	return p.show(w, r, http.StatusOK, "subscription", id, d)
}

// Next says when the next attempt of a message that is due then begins.
func (d subscriptionData) Next(due time.Time) template.HTML {
	words := until(due)
	if words == now {
		switch {
		case d.Channel.State == medispatcher.BreakerOpen:
			words = "once its breaker closes"
		case d.Channel.State == medispatcher.Paused:
			words = "once it is resumed"
		case d.Alive == 0:
			words = "once a dispatcher runs"
		}
	}
	return relative(due, words)
}

// changeLines says what changed, one field per line: concurrency: 8 → 32.
func changeLines(c medispatcher.Change) []string {
	if c.What != medispatcher.Changed {
		return nil
	}
	return fieldLines(c.Fields)
}

func fieldLines(fields map[string]medispatcher.FieldChange) []string {
	var lines []string
	for name, f := range fields {
		from, to := f.Shown()
		lines = append(lines, fmt.Sprintf("%s: %s → %s", name, shortText(from), shortText(to)))
	}
	slices.Sort(lines)
	return lines
}

// subscriptionFindings says what is wrong with a subscription, since when, and what to do.
func subscriptionFindings(d *subscriptionData) []finding {
	c := &d.Channel
	var out []finding
	if d.Unusable != "" {
		out = append(out, finding{Level: "bad", Text: "Its stored document is unusable: " + d.Unusable + ".",
			Do: "Dispatchers keep to the last valid one that they read. Fill in the form below and save it."})
	}
	switch {
	case c.State == medispatcher.BreakerOpen:
		since := time.Now()
		for _, h := range c.HeldBy {
			if h.Since.Before(since) {
				since = h.Since
			}
		}
		out = append(out, finding{Level: "bad",
			Text: fmt.Sprintf("Its worker has failed every attempt for %s: %s back its messages.", words(time.Since(since)), holders(len(c.HeldBy))),
			Do:   "Nothing is lost: messages wait, and a probe goes out every five seconds. Repair the worker; delivery then resumes by itself."})
	case c.State == medispatcher.Paused:
		out = append(out, finding{Level: "note", Text: fmt.Sprintf("Paused: nothing is pushed. %s.", waits(c.Ready+c.Buried)),
			Do: "Resume it when its worker is ready. The history below says who paused it."})
	case d.Alive == 0:
		out = append(out, finding{Level: "bad", Text: "No dispatcher is alive.", Do: "Start one: medispatcher serve."})
	case c.Retrying > 0:
		out = append(out, finding{Level: "warn", Text: plural(c.Retrying, "message") + " failed and will be tried again.",
			Do: "See the last errors below. Once the worker is repaired, kick them to try them at once."})
	case operate.Late(c):
		out = append(out, finding{Level: "warn", Text: fmt.Sprintf("%s, the oldest for %s.", waits(c.Ready), ageOf(c.OldestMS)),
			Do: "They arrive faster than the worker takes them: raise concurrency, lower interval, or add worker URLs."})
	}
	if n := d.Stats.FilterFailed.Hour; n > 0 {
		out = append(out, finding{Level: "warn", Text: fmt.Sprintf("Its filter failed at %s in the last hour, which it got all the same.", plural(n, "message")),
			Do: "Try the filter on such a message below. has(body.total) asks whether a field is there. The dispatchers' logs have the error."})
	}
	if len(d.Earlier) > 0 {
		out = append(out, finding{Level: "warn", Text: "Its limits are exceeded: a dispatcher of an earlier version does not divide them, " + strings.Join(d.Earlier, ", ") + ".",
			Do: "Start it again with this version."})
	}
	if c.Dead > 0 {
		out = append(out, finding{Level: "warn", Text: plural(c.Dead, "dead letter") + ": attempts exhausted.",
			Do: "Once the worker is repaired, replay them.", Link: deadLink(c.ID), LinkText: "Dead letters"})
	}
	return out
}

func holders(n int) string {
	if n == 1 {
		return "a dispatcher holds"
	}
	return number(n) + " dispatchers hold"
}

func waits(n int64) string {
	switch n {
	case 0:
		return "No message waits"
	case 1:
		return "1 message waits"
	}
	return number(n) + " messages wait"
}

func deadLink(id string) string { return "/subscriptions/" + url.PathEscape(id) + "/dead" }

// one is the state of one subscription, and the dispatchers.
func (p *pages) one(ctx context.Context, sub *medispatcher.Subscription) (medispatcher.ChannelStatus, []medispatcher.Dispatcher, error) {
	list, dispatchers, err := operate.Channels(ctx, p.store, []*medispatcher.Subscription{sub})
	if err != nil || len(list) == 0 {
		return medispatcher.ChannelStatus{}, nil, err
	}
	return list[0], dispatchers, nil
}
