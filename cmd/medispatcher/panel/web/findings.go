package web

import (
	"cmp"
	"fmt"
	"net/url"
	"slices"
	"time"

	"github.com/solate/medispatcher"
)

// incomingSlow is the age at which a message that waits for fan-out is reported. Fan-out takes
// milliseconds.
const incomingSlow = 10 * time.Second

// finding is something an operator should know, and what to do about it.
type finding struct {
	Level    string // bad, warn or note
	Text     string
	Do       string
	Since    time.Time // of what fires; zero: not told
	Link     string    // empty: none
	LinkText string
}

// worstFirst orders findings by their level.
func worstFirst(list []finding) []finding {
	levels := []string{"bad", "warn", "note"}
	slices.SortStableFunc(list, func(x, y finding) int {
		return cmp.Compare(slices.Index(levels, x.Level), slices.Index(levels, y.Level))
	})
	return list
}

// findings says what is wrong with the whole system.
func (p *pages) findings(d *overviewData) []finding {
	var out []finding
	add := func(level, text, do string, link ...string) {
		f := finding{Level: level, Text: text, Do: do}
		if len(link) == 2 {
			f.Link, f.LinkText = link[0], link[1]
		}
		out = append(out, f)
	}
	if err := p.ready(); err != nil {
		add("bad", "This dispatcher cannot work: "+err.Error()+".", "It resumes by itself once that is over. Its log says more.")
	}
	for _, one := range d.Dispatchers {
		if one.Alive && one.LogProblem != "" {
			add("bad", fmt.Sprintf("Dispatcher %s cannot write a log: %s.", shortText(one.ID), one.LogProblem),
				"Deliveries continue. Repair the disk, or whatever reads the log. No restart is needed.", "#dispatchers", "Dispatchers")
		}
		if !one.Alive {
			add("bad", fmt.Sprintf("Dispatcher %s has been silent for %s.", shortText(one.ID), words(time.Since(one.Heartbeat))),
				"The others give back what it held. If it does not come back, start another one.", "#dispatchers", "Dispatchers")
		} else if one.Short != "" {
			add("bad", fmt.Sprintf("The machine of dispatcher %s is short of %s.", shortText(one.ID), one.Short),
				"It makes fewer attempts at once. The others wait and do not count as failed. Its log says which limit to raise.", "#dispatchers", "Dispatchers")
		}
	}
	if d.Incoming.OldestMS > incomingSlow.Milliseconds() {
		add("bad", fmt.Sprintf("Waiting for fan-out: %s, the oldest for %s.", plural(d.Incoming.Ready+d.Incoming.Buried, "incoming message"), ageOf(d.Incoming.OldestMS)),
			"Producers publish faster than the dispatchers route. Start another dispatcher, and check how busy Redis is.")
	}
	t := d.Totals
	if t.Held > 0 {
		add("bad", fmt.Sprintf("The breaker of %s is open: every attempt fails.", plural(t.Held, "subscription")),
			"Nothing is lost: messages wait, and a probe goes out every five seconds. Repair the worker.", listLink("breaker_open"), "Show them")
	}
	if t.Dead > 0 {
		add("warn", plural(t.Dead, "dead letter")+": attempts exhausted.",
			"Repair the worker, then replay them, or purge them.", "/dead", "Dead letters")
	}
	if t.Retrying > 0 {
		add("warn", plural(t.Retrying, "message")+" failed and will be tried again.", "See why below.", listLink("retrying"), "Show them")
	}
	if d.Incoming.Quarantine > 0 {
		add("warn", quarantined(d.Incoming.Quarantine), "Each entry says why. Replay or purge them.", "/quarantine", "Quarantine")
	}
	if n := d.Incoming.Unrouted; n > 0 {
		text := plural(n, "message") + " that no subscription wanted."
		add("warn", text, "A topic may be mistyped, or a subscription missing. Correct that, then replay them, or purge them.", "/unrouted", "Unrouted messages")
	}
	if n := d.Sums.Vanished.Day; n > 0 {
		add("warn", vanished(n), "Somebody typed XDEL, XTRIM or DEL, or a producer trims the stream. The dispatchers' logs and medispatcher doctor say where.")
	}
	if n := d.Sums.Unowned.Day; n > 0 {
		add("note", "Commands typed by hand took "+plural(n, "message")+" from the dispatchers in the last day.",
			"Nothing is lost: the dispatchers found what had no owner and deliver it. Leave XACK and XGROUP to them.")
	}
	if t.Paused > 0 {
		add("note", plural(t.Paused, "paused subscription")+".", "Messages wait until somebody resumes delivery.", listLink(medispatcher.Paused), "Show them")
	}
	return out
}

func quarantined(n int64) string {
	if n == 1 {
		return "1 entry could not be decoded or copied and is in the quarantine."
	}
	return number(n) + " entries could not be decoded or copied and are in the quarantine."
}

func vanished(n int64) string {
	if n == 1 {
		return "1 message was removed from Redis by hand in the last day and is lost."
	}
	return number(n) + " messages were removed from Redis by hand in the last day and are lost."
}

// listLink is the list of subscriptions of one state.
func listLink(state string) string {
	return "/subscriptions?" + url.Values{"state": {state}}.Encode()
}
