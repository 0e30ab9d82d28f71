package daemon

import (
	"errors"
	"time"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/alert"
	"github.com/solate/medispatcher/cmd/medispatcher/daemon/metrics"
	"github.com/solate/medispatcher/push"
	rescue "github.com/solate/medispatcher/recover"
	"github.com/solate/medispatcher/streams"
	"github.com/solate/medispatcher/streams/ledger"
)

// pushEvents hands the events of the scheduler to the duties. They run in the workers, so nothing here calls Redis,
// and only dropping waits.
type pushEvents struct {
	sentLog    bool // whether deliveries have lines in the DATA log
	dataLog    *dataLog
	lastCopies *lastCopies
	times      *timesWriter
	deliveries *deliveries
	metrics    *metrics.Metrics
	recorder   *recorder
	alerts     *alert.Events
	pauser     *pauser
	heartbeat  *heartbeat
	ringer     *streams.Ringer
}

// hooks may be taken before the fields are set.
func (e *pushEvents) hooks() push.Events {
	return push.Events{
		Dropping: e.dropping, Settled: e.settled, Unsettled: e.unsettled, Breaker: e.breaker,
		Gone:   func(sub *medispatcher.Subscription) { e.pauser.gone(sub) },
		Short:  func(what string) { e.metrics.Short(what) },
		Within: func() { e.heartbeat.now() },
		Batch:  func(sub string, messages int) { e.metrics.Batch(sub, messages) },
		Others: func(spilled, eased, due []medispatcher.Channel) {
			e.ringer.Spilled(spilled)
			e.ringer.Eased(eased)
			e.ringer.Due(due)
		},
	}
}

// dropping: a message is about to leave Redis for good. Where its line of the DATA log will be the only copy,
// it leaves only once that line is written.
func (e *pushEvents) dropping(m *medispatcher.Delivery, s *medispatcher.Settlement) error {
	line := lineOf(rescue.DroppedMessage, m)
	line.Error = "no worker URL of the subscription is for this environment"
	switch {
	case s.Failure == nil:
	case s.By.Drop.Action == medispatcher.DropLog:
		line.Error = s.Failure.LastError
	default:
		return nil // nobody wants to keep it
	}
	return e.dataLog.keep(line)
}

// settled: an attempt ended, and its outcome is decided.
func (e *pushEvents) settled(m *medispatcher.Delivery, s *medispatcher.Settlement) {
	now := time.Now()
	e.times.note(m, s, now)
	e.deliveries.note(m, s, now)
	e.metrics.Settled(m, s, now)
	e.recorder.attempted(m, s)
	if s.Failure != nil {
		e.failed(m, s)
	}
	if s.Outcome != medispatcher.Sent || !e.sentLog {
		return
	}
	code := rescue.Sent
	if m.Attempt > 1 {
		code = rescue.Resent
	}
	e.dataLog.put(lineOf(code, m))
}

// failed: an attempt at a message failed. Most failures are far from an alert.
func (e *pushEvents) failed(m *medispatcher.Delivery, s *medispatcher.Settlement) {
	sub := s.By
	if sub.Alert.MessageFailures == 0 || s.Failure.Attempts < sub.Alert.MessageFailures {
		return
	}
	if m.EntryID == "" { // it waits behind another of its key: until it is in the channel, nothing tells when its failures end
		return
	}
	var deadAt time.Time
	if s.Outcome == medispatcher.Failed {
		deadAt = time.Now().Add(s.Delay + push.TimeLeft(sub, s.Attempt))
	}
	e.alerts.MessageFailed(sub, &m.Message, s.Failure, ledger.MessageCause(m.Partition, m.EntryID), deadAt)
}

// unsettled: an attempt ended, and Redis will not learn its outcome. Others give back what this process still owns
// when it ends. If the channel is gone, this process has the only copy. Nobody can tell whether somebody removed the
// subscription or Redis lost the channel, so the message is written in either case.
func (e *pushEvents) unsettled(s *medispatcher.Settlement, cause error) {
	line := rescue.Line{
		Error: cause.Error(), Partition: s.Partition, Subscription: s.Subscription, Attempt: s.Attempt,
		Entry: s.EntryID, Message: rescue.MessageOf(s.Message),
	}
	switch {
	case s.Outcome == medispatcher.Sent:
		line.Code = rescue.DeleteFail
		e.dataLog.put(line)
	case s.Outcome != medispatcher.Dropped && errors.Is(cause, medispatcher.ErrGone):
		line.Code = rescue.KickFail
		e.lastCopies.put(line)
	}
}

// breaker: a subscription's breaker opened or closed.
func (e *pushEvents) breaker(sub string, open bool, proxy string) {
	e.alerts.Breaker(sub, open, proxy)
	e.heartbeat.breakerChanged()
}

// lineOf is the line of the DATA log for a delivery.
func lineOf(code rescue.Code, m *medispatcher.Delivery) rescue.Line {
	return rescue.Line{
		Code: code, Partition: m.Partition, Subscription: m.Subscription, Attempt: m.Attempt, Entry: m.EntryID,
		Message: rescue.MessageOf(&m.Message),
	}
}
