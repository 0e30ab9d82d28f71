package push

import (
	"context"
	"errors"
	"log/slog"
	"runtime"
	"time"

	"github.com/solate/medispatcher"
)

// fullPause spaces the looks at a settle queue that is full.
const fullPause = 10 * time.Millisecond

// freshReader reads the new messages of one partition, for free slots.
type freshReader struct {
	partition int
	lanes     *lanes
	queue     *queue
	settle    *settleQueue
	workers   *workers
	news      *news
}

// run reads until ctx ends.
func (r *freshReader) run(ctx context.Context) {
	work := context.WithoutCancel(ctx)
	for r.lanes.awaken(ctx, r.lanes.fresh[r.partition]) {
		if r.settle.full() {
			medispatcher.Sleep(ctx, fullPause)
			continue
		}
		if wants := r.lanes.reserveFresh(r.partition, time.Now()); len(wants) > 0 {
			r.read(work, wants)
		}
	}
}

// read reads what was reserved.
func (r *freshReader) read(ctx context.Context, wants []want) {
	deliveries, err := r.queue.Read(ctx, asked(wants))
	r.took(wants, deliveries, err)
}

// hand reserves slots and room for new messages of idle channels, which the step that writes them is to read, too. That
// saves a round trip. took must be told what the step read; it is nil if there is nothing to read.
func (r *freshReader) hand(copies []medispatcher.Want, largest int64) (wants []medispatcher.Want, took func([]medispatcher.Delivery, error)) {
	r.lanes.mu.Lock()
	defer r.lanes.mu.Unlock()
	if r.workers.handsOff || r.settle.full() {
		return nil, nil
	}
	reserved := r.lanes.reserveIdleLocked(r.partition, copies, largest, time.Now())
	if len(reserved) == 0 {
		return nil, nil
	}
	r.workers.handing.Add(1)
	return asked(reserved), func(deliveries []medispatcher.Delivery, err error) {
		defer r.workers.handing.Done()
		r.took(reserved, deliveries, err)
		runtime.Gosched() // the workers go first: what the caller does next, the requests need not wait for
	}
}

// took hands each message that a read brought to a worker.
func (r *freshReader) took(wants []want, deliveries []medispatcher.Delivery, err error) {
	problems := channelErrors(err, wants)
	now := time.Now()
	r.lanes.mu.Lock()
	defer r.lanes.unlock()
	from := r.lanes.arrivedLocked(wants, deliveries)
	got := make(map[*lane]int, len(wants))
	for i := range deliveries {
		d := &deliveries[i]
		l := r.lanes.touched[d.Channel]
		got[l]++
		if l.entries[d.EntryID] != nil {
			// Its attempt is under way: the group was removed by hand and made again, and begins with what was in hand.
			r.lanes.noProbeLocked(l.sub)
			continue
		}
		j := r.lanes.jobLocked(l, d, from[l], now)
		r.workers.waitLocked(l, j, &l.sub.fresh)
	}
	for _, w := range wants {
		l := w.lane
		l.fresh.end()
		l.sub.fresh.asked -= w.n
		r.workers.staffLocked(l.sub, now)
		if got[l] == 0 {
			r.lanes.noProbeLocked(l.sub)
		}
		r.readLocked(l, w.handed || got[l] < w.n, problems[l.channel], now)
		if got[l] < w.n && problems[l.channel] == nil {
			r.lanes.freedLocked(l.sub, now)
		}
	}
}

// readLocked decides when a lane is read again. drained: it had less than was asked for.
func (r *freshReader) readLocked(l *lane, drained bool, problem error, now time.Time) {
	pump := r.lanes.fresh[r.partition]
	switch {
	case errors.Is(problem, medispatcher.ErrGroupCreated):
		pump.now(l)
		return
	case problem != nil:
		if l.back.Failures() == 0 {
			r.news.log(slog.LevelWarn, LineUnreadable, "subscription", l.channel.Subscription, "partition", l.channel.Partition, "error", problem)
		}
		l.failed()
		pump.at(l, now.Add(l.back.Next()))
		return
	case drained && !l.rung:
		r.lanes.drainedLocked(l)
	default:
		r.lanes.gatherLocked(l, now)
		if l.sub.room() == 0 {
			r.lanes.spillLocked(l, now)
		}
	}
	if l.back.Failures() > 0 {
		signal(r.lanes.doubtful) // now that Redis can be asked what the reads that failed took
	}
	l.back.Reset()
}

// channelErrors sorts the errors of a read by channel. An error that names no
// channel is everybody's.
func channelErrors(err error, wants []want) map[medispatcher.Channel]error {
	if err == nil {
		return nil
	}
	problems := map[medispatcher.Channel]error{}
	list := []error{err}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		list = joined.Unwrap()
	}
	for _, e := range list {
		if ce, ok := errors.AsType[*medispatcher.ChannelError](e); ok {
			problems[ce.Channel] = ce.Err
			continue
		}
		for _, w := range wants {
			problems[w.lane.channel] = e
		}
	}
	return problems
}
