package medispatcher

import (
	"fmt"
	"time"
)

// ReplayAsk is what somebody asks of a replay from the archive, in their own words.
type ReplayAsk struct {
	Since string `json:"since" doc:"A duration before the question, or a time"` // see ParseMoment
	Until string `json:"until,omitempty" doc:"The same; none: all that was there at the beginning"`
	// Topic is a pattern that a message has to match. Empty: the subscription's own pattern alone decides.
	Topic string `json:"topic,omitempty" doc:"Only messages whose topic matches this pattern"`
	// AllTopics sends what Topic names even if the subscription's own pattern does not ask for it. Its filter holds.
	AllTopics bool `json:"all_topics,omitempty" doc:"Also what the subscription itself does not ask for"`
}

// Window is the time that is asked for, the zero time where Until is empty. The error is Problems.
func (a *ReplayAsk) Window(now time.Time) (since, until time.Time, err error) {
	var p Problems
	moment := func(field, text string) time.Time {
		t, err := ParseMoment(text, now)
		if err != nil {
			p.add(field, "%v", err)
		}
		return t
	}
	if a.Since == "" {
		p.add("since", "is missing; give a duration such as 2h, or a time such as %s", now.Add(-2*time.Hour).UTC().Format(time.RFC3339))
	} else {
		since = moment("since", a.Since)
	}
	if a.Until != "" {
		until = moment("until", a.Until)
	}
	if a.Topic != "" {
		if err := CheckPattern(a.Topic); err != nil {
			p.add("topic", "%v", err)
		}
	} else if a.AllTopics {
		p.add("all_topics", "needs a topic; > names all of them")
	}
	switch {
	case len(p) > 0:
	case since.After(now):
		p.add("since", "%s lies in the future", a.Since)
	case !until.IsZero() && !until.After(since):
		p.add("until", "%s is not after %s", a.Until, a.Since)
	}
	return since, until, p.err()
}

// ParseMoment reads a time: a duration before now such as "2h30m", a time by RFC 3339, or a day such as "2026-11-26" in UTC.
func ParseMoment(text string, now time.Time) (time.Time, error) {
	if d, err := time.ParseDuration(text); err == nil {
		if d < 0 {
			return time.Time{}, fmt.Errorf("%s is negative; give how long ago, such as 2h", quote(text))
		}
		return now.Add(-d), nil
	}
	for _, form := range []string{time.RFC3339, time.DateOnly} {
		if t, err := time.Parse(form, text); err == nil {
			return t, nil
		}
	}
	return time.Time{}, fmt.Errorf("%s is neither a duration such as 2h30m nor a time such as %s", quote(text), now.UTC().Format(time.RFC3339))
}

// Replay is one replay from the archive to a subscription. It is noted in Redis until it is finished, so that whoever goes on
// with it goes on where it was.
type Replay struct {
	ID           string    `json:"id"`
	Subscription string    `json:"subscription" doc:"Its id"`
	Asked        ReplayAsk `json:"asked"`
	Since        time.Time `json:"since" doc:"The time that since meant"`
	Until        time.Time `json:"until,omitzero" doc:"The time that until meant"` // zero: all that was in the archive when it began
	// New says that it is for a new subscription: it ends where the messages begin that were routed to it.
	New     bool      `json:"new,omitempty" doc:"For a new subscription: it ends where the messages begin that were routed to it"`
	By      string    `json:"by,omitempty" doc:"Who began it"`
	Started time.Time `json:"started"`
	// Background says that dispatchers go on with it, whoever began it.
	Background bool `json:"background,omitempty" doc:"Dispatchers go on with it, whoever began it"`
	// Revision is the one in which the new subscription appeared first.
	Revision int64 `json:"-"`
}

// Wants reports whether a message belongs to the replay for a subscription as it is now.
func (r *Replay) Wants(s *Subscription, m *Message) bool {
	if r.Asked.Topic != "" && !matchTopic(r.Asked.Topic, m.Topic) || !r.Asked.AllTopics && !s.Wants(m.Topic) {
		return false
	}
	if s.Matcher == nil {
		return true
	}
	match, err := ask(s.Matcher, &Subject{Message: m})
	return match || err != nil // as when it was published
}

// ReplayProgress is how far a replay has come.
type ReplayProgress struct {
	Looked   int64 `json:"looked" doc:"Messages of the archive that are behind it"`
	Replayed int64 `json:"replayed" doc:"Of these, made READY"`
	// Done is the share of the window that is behind it, 0 to 1.
	Done float64 `json:"done" doc:"The share of the window that is behind it, 0 to 1"`
	// Waits says that the channel is full: the subscription has to take some of its messages first.
	Waits bool `json:"waits,omitempty" doc:"The channel is full: the subscription has to take some of its messages first"`
}

// ReplayCount is what a replay would do.
type ReplayCount struct {
	Looked   int64 `json:"looked" doc:"Messages of the archive in the window"`
	Messages int64 `json:"messages" doc:"Of these, that would be replayed"`
	Bytes    int64 `json:"bytes" doc:"Of their bodies"`
}

// ReplayState is a replay that is not finished, and how far it has come.
type ReplayState struct {
	Replay
	Progress ReplayProgress `json:"progress" doc:"How far it has come"`
}

// ReplayBusyError says that another replay of the subscription is not finished.
type ReplayBusyError struct{ Other Replay }

func (e *ReplayBusyError) Error() string {
	return fmt.Sprintf("another replay of %q is not finished: since %s, begun %s by %s; let it end, or stop it",
		e.Other.Subscription, e.Other.Asked.Since, e.Other.Started.UTC().Format(time.RFC3339), e.Other.By)
}
