package recover

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/solate/medispatcher"
)

// Plan says what recovering a line means. One of Once, Nothing and Problem is set.
type Plan struct {
	Once      *medispatcher.Once // what to write to Partition
	Partition int
	Nothing   string // why there is nothing to do
	Problem   string // why it cannot be done, and what to do
}

// Planner decides what recovering a line means. It changes nothing.
type Planner struct {
	Partitions int                     // over which new messages are spread
	All        int                     // partitions that there are, Partitions at least
	MaxBody    int64                   // bytes
	Exists     func(sub string) bool   // whether there is such a subscription
	Wanted     func(topic string) bool // whether a subscription wants a topic
	Now        func() time.Time
}

// Plan decides about one line.
func (p *Planner) Plan(l *Line) Plan {
	var m medispatcher.Message
	var err error
	switch l.Code {
	case Sent, Resent:
		return Plan{Nothing: "it was delivered"}
	case DeleteFail:
		return Plan{Nothing: "it was delivered; if Redis still has it, medispatcher delivers it again by itself"}
	case DecodeError:
		m, err = p.decodeEntry(l)
	case RecoverFailDecode, RecoverFailAssert:
		m, err = p.decodeItem(l)
	case RedistributeFail, DroppedMessage, KickFail:
		return p.toChannel(l)
	case RecoverFailBack, Unroutable:
		if m, err = p.whole(l); err == nil && l.Code == Unroutable && !p.Wanted(m.Topic) {
			return Plan{Problem: fmt.Sprintf("still no subscription wants the topic %s; put one, then recover the file again", m.Topic)}
		}
		m.Delay = p.rest(m.Delay, l.Time)
	}
	if err != nil {
		return Plan{Problem: medispatcher.OneLine(err)}
	}
	once := &medispatcher.Once{Token: l.OnceToken(), Message: m, KeptIn: l.keptIn()}
	if once.KeptIn != "" && p.has(l.Partition) {
		return Plan{Once: once, Partition: l.Partition} // where its copy is kept, and the marker of a replay
	}
	once.KeptIn = ""
	if m.Generated {
		once.Message.ID, once.Message.Generated = "", false // the id says in which partition it was made
	}
	return Plan{Once: once, Partition: partitionOf(&once.Message, once.Token, p.Partitions)}
}

func (p *Planner) has(partition int) bool {
	return partition >= 0 && partition < max(p.All, p.Partitions)
}

// whole is the message of a line. It is checked, because somebody may have edited the file.
func (p *Planner) whole(l *Line) (medispatcher.Message, error) {
	if l.Message == nil {
		return medispatcher.Message{}, errors.New("has no message")
	}
	m := l.Message.Restore()
	if err := m.Check(); err != nil {
		return m, err
	}
	return m, checkBody(&m, p.MaxBody)
}

// rest is what is left of a delay that began at that time.
func (p *Planner) rest(delay time.Duration, at time.Time) time.Duration {
	return max(0, delay-max(0, p.Now().Sub(at)))
}

func (p *Planner) decodeEntry(l *Line) (medispatcher.Message, error) {
	fields, err := l.Fields()
	if err != nil {
		return medispatcher.Message{}, err
	}
	at := l.Time
	if ms, _, ok := strings.Cut(l.Entry, "-"); ok {
		if n, err := strconv.ParseInt(ms, 10, 64); err == nil {
			at = time.UnixMilli(n)
		}
	}
	m, err := medispatcher.DecodeEntry(fields, at)
	if err != nil {
		return m, fmt.Errorf("still cannot be decoded: %w; publish a corrected message, and ignore this line", err)
	}
	if m.ID == "" && l.keptIn() != "" {
		src := l.Entry // as a replay of its copy keeps it
		if entryID.MatchString(fields["~src"]) {
			src = fields["~src"]
		}
		m.ID, m.Generated = fmt.Sprintf("%d-%s", l.Partition, src), true
	}
	m.Delay = p.rest(m.Delay, at)
	return m, checkBody(&m, p.MaxBody)
}

func (p *Planner) decodeItem(l *Line) (medispatcher.Message, error) {
	fields, err := l.Fields()
	if err != nil {
		return medispatcher.Message{}, err
	}
	m, err := DecodeItem([]byte(fields[rawItem]), p.MaxBody)
	if err != nil {
		return m, fmt.Errorf("still cannot be decoded: %s; publish a corrected message, and ignore this line", medispatcher.OneLine(err))
	}
	if m.Time.IsZero() {
		m.Time = l.Time
	}
	m.Delay = p.rest(m.Delay, l.Time)
	return m, nil
}

var entryID = regexp.MustCompile(`^[0-9]{1,20}-[0-9]{1,20}$`)

// toChannel plans to put a message back into its one channel: the other subscriptions have their copies.
func (p *Planner) toChannel(l *Line) Plan {
	m, err := p.whole(l)
	switch {
	case err != nil:
		return Plan{Problem: medispatcher.OneLine(err)}
	case m.ID == "":
		return Plan{Problem: "its message has no id"}
	case medispatcher.CheckSubscriptionID(l.Subscription) != nil:
		return Plan{Problem: fmt.Sprintf("%q is not the id of a subscription", l.Subscription)}
	case !p.Exists(l.Subscription):
		return Plan{Problem: fmt.Sprintf("the subscription %s is gone; put it and recover the file again, or publish the message again", l.Subscription)}
	case !p.has(l.Partition):
		return Plan{Problem: fmt.Sprintf("partition %d is not one of the %d that there are", l.Partition, max(p.All, p.Partitions))}
	}
	m.Delay = 0
	once := &medispatcher.Once{Token: l.OnceToken(), Message: m, Subscription: l.Subscription, KeptIn: l.keptIn()}
	if l.Code == KickFail {
		if !entryID.MatchString(l.Entry) {
			return Plan{Problem: fmt.Sprintf("%q is not the id of an entry", l.Entry)}
		}
		once.Unless = l.Entry
	}
	return Plan{Once: once, Partition: l.Partition}
}

// partitionOf is the partition of a message. One without a key and id may go to any: its token chooses, so
// that every repetition goes to the same one.
func partitionOf(m *medispatcher.Message, token string, partitions int) int {
	if m.Key == "" && m.ID == "" {
		return medispatcher.Partition("", token, partitions)
	}
	return medispatcher.Partition(m.Key, m.ID, partitions)
}
