package push

import (
	"context"
	"log/slog"
	"time"

	"github.com/solate/medispatcher"
)

// dueReader takes the messages of one partition whose next attempt is due, for free retry slots. It is apart from
// freshReader so that neither kind waits for the other.
type dueReader struct {
	partition int
	lanes     *lanes
	queue     *queue
	settle    *settleQueue
	workers   *workers
	news      *news
}

// run takes due messages until ctx ends.
func (r *dueReader) run(ctx context.Context) {
	work := context.WithoutCancel(ctx)
	var back medispatcher.Backoff
	for r.lanes.awaken(ctx, r.lanes.due[r.partition]) {
		if r.settle.full() {
			medispatcher.Sleep(ctx, fullPause)
			continue
		}
		wants := r.lanes.reserveDue(r.partition, time.Now())
		if len(wants) == 0 {
			continue
		}
		if err := r.take(work, wants); err != nil {
			if back.Failures() == 0 {
				r.news.log(slog.LevelWarn, "due messages wait", "partition", r.partition, "error", err)
			}
			back.Wait(ctx)
			continue
		}
		if back.Failures() > 0 {
			signal(r.lanes.doubtful)
		}
		back.Reset()
	}
}

// take takes what was reserved, and hands its messages to workers.
func (r *dueReader) take(ctx context.Context, wants []want) error {
	deliveries, next, err := r.queue.Due(ctx, r.partition, asked(wants))
	now := time.Now()
	r.lanes.mu.Lock()
	defer r.lanes.mu.Unlock()
	from := r.lanes.arrivedLocked(wants, deliveries)
	got := make(map[*lane]int, len(wants))
	for i := range deliveries {
		d := &deliveries[i]
		l := r.lanes.touched[d.Channel]
		if l.wasReleased(d.EntryID) {
			signal(r.lanes.doubtful)
			continue
		}
		if l.early[d.EntryID] != nil {
			continue
		}
		got[l]++
		j := r.lanes.jobLocked(l, d, from[l], now)
		if l.entries[d.EntryID] != nil {
			// The step that settled the attempt before was run, and its reply is on its way or
			// lost. Until it is known here, nobody could tell the two attempts apart.
			l.early[d.EntryID] = j
			l.sub.retry.early++
			continue
		}
		r.workers.waitLocked(l, j, &l.sub.retry)
	}
	pump := r.lanes.due[r.partition]
	for i, w := range wants {
		l := w.lane
		l.due.end()
		l.forgetReleased()
		l.sub.retry.asked -= w.n
		r.workers.staffLocked(l.sub, now)
		if got[l] == 0 {
			r.lanes.noProbeLocked(l.sub)
		}
		if got[l] < w.n && err == nil {
			r.lanes.freedLocked(l.sub, now)
		}
		switch {
		case err != nil:
			l.failed()
			pump.now(l)
		case next[i] >= 0:
			pump.at(l, now.Add(next[i]))
		}
	}
	return err
}
