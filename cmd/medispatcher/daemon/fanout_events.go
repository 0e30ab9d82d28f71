package daemon

import (
	"log/slog"
	"time"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/cmd/medispatcher/daemon/metrics"
	"github.com/solate/medispatcher/push"
	rescue "github.com/solate/medispatcher/recover"
	"github.com/solate/medispatcher/streams"
)

// fanoutEvents hands the events of the fan-out workers to the duties. Nothing here blocks or calls Redis.
type fanoutEvents struct {
	scheduler  *push.Scheduler
	ringer     *streams.Ringer
	lines      *streams.LineWorker
	wakes      []chan streams.Delay // by partition: of who releases what is due
	metrics    *metrics.Metrics
	recorder   *recorder
	filters    *filters
	tracer     *tracer // nil: tracing is off
	dataLog    *dataLog
	lastCopies *lastCopies
	log        *slog.Logger
}

func (e *fanoutEvents) hooks() streams.FanoutEvents {
	return streams.FanoutEvents{
		Ready: e.ready, Delayed: e.delayed, Quarantined: e.quarantined, CopyFailed: e.copyFailed,
		Unready: e.lines.Ask, Unroutable: e.unroutable, Routed: e.routed, Hand: e.hand, FilterFailed: e.filters.failed,
	}
}

// hand: a step is about to write copies. The scheduler may have it read some.
func (e *fanoutEvents) hand(copies []medispatcher.Want, largest int) ([]medispatcher.Want, func([]medispatcher.Delivery, error)) {
	return e.scheduler.Hand(copies, largest)
}

// ready: channels have new messages.
func (e *fanoutEvents) ready(p int, subs []string) {
	channels := make([]medispatcher.Channel, len(subs))
	for i, sub := range subs {
		channels[i] = medispatcher.Channel{Partition: p, Subscription: sub}
	}
	e.scheduler.Ring(channels)
	e.ringer.Copied(p, subs)
}

// delayed: a message waits until it is due.
func (e *fanoutEvents) delayed(p int, due time.Time) {
	select {
	case e.wakes[p] <- streams.Delay{Partition: p, Due: due}:
	default: // full: the worker for delayed messages looks again soon anyway
	}
}

// routed: the fan-out of an incoming entry ended.
func (e *fanoutEvents) routed(p int, m medispatcher.Message, r streams.Routed, subs []string) {
	e.metrics.Routed(m.Topic, r.Result)
	e.recorder.routed(p, &m, &r, subs)
	if r.Result == streams.RoutedCopied || r.Result == streams.RoutedFiltered {
		e.filters.judged(p, r.Wanted, r.Verdicts)
	}
	if e.tracer != nil && (r.Result == streams.RoutedCopied || r.Result == streams.RoutedFiltered) {
		e.tracer.routed(&m, subs)
	}
}

func (e *fanoutEvents) quarantined(p int, entry streams.Entry, reason string) {
	e.log.Warn("incoming entry quarantined", "partition", p, "entry", entry.ID, "reason", reason)
	line := rescue.Line{Code: rescue.DecodeError, Error: reason, Partition: p, Entry: entry.ID}
	line.SetRaw(entry.Fields())
	e.dataLog.put(line)
}

func (e *fanoutEvents) copyFailed(p int, entry streams.Entry, m medispatcher.Message, sub string) {
	const reason = "the channel does not take it (one of its keys is of a wrong type, or its entry ids are used up); the copy is in the quarantine"
	e.log.Warn("copy quarantined", "partition", p, "topic", m.Topic, "subscription", sub, "id", m.ID, "reason", reason)
	// The quarantine may not have taken it: its key may have a wrong type, too.
	e.lastCopies.put(rescue.Line{Code: rescue.RedistributeFail, Error: reason, Partition: p, Entry: entry.ID, Subscription: sub, Message: rescue.MessageOf(&m)})
}

func (e *fanoutEvents) unroutable(p int, entry streams.Entry, m medispatcher.Message) {
	e.log.Debug("no subscription wants a message", "partition", p, "topic", m.Topic, "id", m.ID)
	e.dataLog.put(rescue.Line{Code: rescue.Unroutable, Error: "no subscription wants the topic", Partition: p, Entry: entry.ID, Message: rescue.MessageOf(&m)})
}
