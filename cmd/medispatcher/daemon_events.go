package main

import (
	"errors"
	"time"

	"github.com/solate/medispatcher"
	rescue "github.com/solate/medispatcher/recover"
	"github.com/solate/medispatcher/streams"
)

// rang: the fan-out wrote to channels.
func (d *daemon) rang(p int, subs []string) {
	channels := make([]medispatcher.Channel, len(subs))
	for i, sub := range subs {
		channels[i] = medispatcher.Channel{Partition: p, Subscription: sub}
	}
	d.scheduler.Ring(channels)
	d.ringer.Ready(p, subs)
}

// delayed: the fan-out put a message off.
func (d *daemon) delayed(p int, due time.Time) {
	select {
	case d.wakes[p] <- due:
	default: // full: its worker looks by itself soon
	}
}

// routed: something became of an incoming entry.
func (d *daemon) routed(p int, m medispatcher.Message, r streams.Routed, subs []string) {
	d.metrics.routed(m.Topic, r.Result)
	d.recorder.routed(p, &m, r.Result, subs)
	if d.tracer != nil && r.Result == streams.RoutedCopied {
		d.tracer.routed(&m, subs)
	}
}

func (d *daemon) quarantined(p int, e streams.Entry, reason string) {
	d.log.Warn("incoming entry quarantined", "partition", p, "entry", e.ID, "reason", reason)
	line := rescue.Line{Code: rescue.DecodeError, Error: reason, Partition: p, Entry: e.ID}
	line.SetRaw(e.Fields)
	d.data.put(line)
}

func (d *daemon) copyFailed(p int, e streams.Entry, m medispatcher.Message, sub string) {
	const reason = "the channel does not take it (its key is not a stream, or its entry ids are used up); the copy is in the quarantine"
	d.log.Warn("copy quarantined", "partition", p, "topic", m.Topic, "subscription", sub, "id", m.ID, "reason", reason)
	// Nobody knows whether the quarantine took it: its key may be of a wrong type, too.
	d.last.put(rescue.Line{Code: rescue.RedistributeFail, Error: reason, Partition: p, Entry: e.ID, Subscription: sub, Message: rescue.MessageOf(&m)})
}

func (d *daemon) unroutable(p int, e streams.Entry, m medispatcher.Message) {
	d.log.Debug("no subscription wants a message", "partition", p, "topic", m.Topic, "id", m.ID)
	d.data.put(rescue.Line{Code: rescue.Unroutable, Error: "no subscription wants the topic", Partition: p, Entry: e.ID, Message: rescue.MessageOf(&m)})
}

// dropping: a message is about to leave Redis for good. Where its line of the DATA log is all there
// will be of it, it goes only once that line is written.
func (d *daemon) dropping(m *medispatcher.Delivery, s *medispatcher.Settlement) error {
	line := rescue.Line{
		Code: rescue.DroppedMessage, Partition: m.Partition, Subscription: m.Subscription, Attempt: m.Attempt, Entry: m.EntryID,
		Message: rescue.MessageOf(&m.Message), Error: "no worker URL of the subscription is for this environment",
	}
	switch {
	case s.Failure == nil:
	case s.By.Drop.Action == medispatcher.DropLog:
		line.Error = s.Failure.LastError
	default:
		return nil // nobody wants to have it
	}
	return d.data.keep(line)
}

// settled: an attempt ended, and this becomes of its message.
func (d *daemon) settled(m *medispatcher.Delivery, s *medispatcher.Settlement) {
	now := time.Now()
	d.times.note(m, s, now)
	d.metrics.settled(m, s, now)
	d.recorder.attempted(m, s)
	if s.Failure != nil {
		d.failed(m, s)
	}
	if s.Outcome != medispatcher.Sent || !d.cfg.SentLog {
		return
	}
	line := rescue.Line{
		Code: rescue.Sent, Partition: m.Partition, Subscription: m.Subscription, Attempt: m.Attempt, Entry: m.EntryID,
		Message: rescue.MessageOf(&m.Message),
	}
	if m.Attempt > 1 {
		line.Code = rescue.Resent
	}
	d.data.put(line)
}

// unsettled: an attempt ended and Redis will never hear of it. What this process still owns
// when it ends is given back by others; what has no channel any more is only here. Whether
// somebody removed the subscription or Redis lost it nobody can tell, so it is written in either case.
func (d *daemon) unsettled(s *medispatcher.Settlement, cause error) {
	line := rescue.Line{
		Error: cause.Error(), Partition: s.Partition, Subscription: s.Subscription, Attempt: s.Attempt,
		Entry: s.EntryID, Message: rescue.MessageOf(s.Message),
	}
	switch {
	case s.Outcome == medispatcher.Sent:
		line.Code = rescue.DeleteFail
		d.data.put(line)
	case s.Outcome != medispatcher.Dropped && errors.Is(cause, medispatcher.ErrGone):
		line.Code = rescue.KickFail
		d.last.put(line)
	}
}

// short: this machine lacks something that an attempt needs. The scheduler has logged it.
func (d *daemon) short(what string) { d.metrics.shortages.WithLabelValues(what).Inc() }

// breaker: a subscription's breaker opened or closed.
func (d *daemon) breaker(sub string, open bool) {
	d.alerts.events.Breaker(sub, open)
	select {
	case d.breakers <- struct{}{}:
	default: // the heartbeat that is about to come tells of it, too
	}
}
