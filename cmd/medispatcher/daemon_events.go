package main

import (
	"context"
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
	d.noteRouted(p, &m, r, subs)
	if d.tracer != nil && r.Result == streams.RoutedCopied {
		d.tracer.routed(&m, subs)
	}
}

func (d *daemon) quarantined(p int, e streams.Entry, reason string) {
	d.log.Warn("incoming entry quarantined", "partition", p, "entry", e.ID, "reason", reason)
	line := rescue.Line{Code: rescue.DecodeError, Error: reason, Partition: p, Entry: e.ID}
	line.SetRaw(e.Fields)
	d.keep(line)
}

func (d *daemon) copyFailed(p int, e streams.Entry, m medispatcher.Message, sub string) {
	const reason = "the key of the channel is not a stream; the copy is in the quarantine"
	d.log.Warn("copy quarantined", "partition", p, "topic", m.Topic, "subscription", sub, "id", m.ID, "reason", reason)
	d.keep(rescue.Line{Code: rescue.RedistributeFail, Error: reason, Partition: p, Entry: e.ID, Subscription: sub, Message: rescue.MessageOf(&m)})
}

func (d *daemon) unroutable(p int, e streams.Entry, m medispatcher.Message) {
	d.log.Debug("no subscription wants a message", "partition", p, "topic", m.Topic, "id", m.ID)
	d.keep(rescue.Line{Code: rescue.Unroutable, Error: "no subscription wants the topic", Partition: p, Entry: e.ID, Message: rescue.MessageOf(&m)})
}

// settled: an attempt ended. What is written here is written before the message goes.
func (d *daemon) settled(m *medispatcher.Delivery, s *medispatcher.Settlement) {
	now := time.Now()
	d.times.note(m, s, now)
	d.metrics.settled(m, s, now)
	d.noteAttempt(m, s)
	if s.Failure != nil {
		d.failed(m, s)
	}
	line := rescue.Line{Partition: m.Partition, Subscription: m.Subscription, Attempt: m.Attempt, Entry: m.EntryID}
	switch {
	case s.Outcome == medispatcher.Dropped && s.Failure == nil:
		line.Code, line.Error = rescue.DroppedMessage, "no worker URL of the subscription is for this environment"
	case s.Outcome == medispatcher.Dropped:
		if d.registry.Snapshot().Subs[m.Subscription].Drop.Action != medispatcher.DropLog {
			return
		}
		line.Code, line.Error = rescue.DroppedMessage, s.Failure.LastError
	case s.Outcome != medispatcher.Sent || !d.cfg.SentLog:
		return
	case m.Attempt > 1:
		line.Code = rescue.Resent
	default:
		line.Code = rescue.Sent
	}
	line.Message = rescue.MessageOf(&m.Message)
	d.keep(line)
}

// unsettled: an attempt ended and Redis will never hear of it. What this process still owns
// when it ends is given back by others; what has no channel any more is only here.
func (d *daemon) unsettled(s *medispatcher.Settlement, cause error) {
	line := rescue.Line{
		Error: cause.Error(), Partition: s.Partition, Subscription: s.Subscription, Attempt: s.Attempt,
		Entry: s.EntryID, Message: rescue.MessageOf(s.Message),
	}
	switch {
	case s.Outcome == medispatcher.Sent:
		line.Code = rescue.DeleteFail
	case s.Outcome != medispatcher.Dropped && errors.Is(cause, medispatcher.ErrGone):
		line.Code = rescue.KickFail
	default:
		return
	}
	if _, there := d.registry.Snapshot().Subs[s.Subscription]; there { // else it was removed, and its messages with it
		d.keep(line)
	}
}

func (d *daemon) keep(line rescue.Line) {
	if err := d.dataLog.Write(line); err != nil {
		d.log.Error("a line of the DATA log is lost", "code", line.Code, "entry", line.Entry, "error", err)
	}
}

// gone: a subscriber answered 410. Its subscription is paused until an operator resumes it.
func (d *daemon) gone(sub string) {
	ctx, cancel := context.WithTimeout(context.Background(), stepWithin)
	defer cancel()
	d.alerts.events.Gone(ctx, sub) // first: who dies in between has told it
	ctx = medispatcher.WithActor(ctx, "dispatcher "+d.info.ID+": its worker answered 410 Gone")
	if _, _, err := d.registry.Patch(ctx, sub, []byte(`{"paused":true}`), ""); err != nil {
		d.log.Warn("a subscriber answered 410 Gone and could not be paused", "subscription", sub, "error", err)
		return
	}
	d.log.Warn("subscription paused: its worker answered 410 Gone; resume it when it is back", "subscription", sub)
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
