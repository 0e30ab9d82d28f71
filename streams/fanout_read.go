package streams

import (
	"cmp"
	"context"
	"errors"
	"time"

	"github.com/solate/medispatcher/streams/internal/rdb"
)

// batch is what was read and is not moved.
type batch struct {
	entries []Entry
	subs    *versionReply // see arrivals
	full    bool          // there is more
	err     error
}

// moveNew moves the next batch of new entries. It waits a while for the first entry. If there is more, it is read meanwhile:
// otherwise a Redis that is far away would do nothing for a round trip.
func (w *FanoutWorker) moveNew(ctx context.Context) error {
	b := w.takeAhead()
	if b == nil {
		b = w.readBatch(ctx)
	}
	if b.full && b.err == nil && !w.ending.Load() {
		w.ahead = make(chan *batch, 1)
		go func() { w.ahead <- w.readBatch(ctx) }()
	}
	if b.err != nil {
		b.subs = nil
	}
	return errors.Join(b.err, w.route(ctx, b.entries, b.subs))
}

// takeAhead is the batch that was read while the one before was moved; nil: none was.
func (w *FanoutWorker) takeAhead() *batch {
	if w.ahead == nil {
		return nil
	}
	b := <-w.ahead
	w.ahead = nil
	return b
}

// readBatch reads a batch of new entries. It waits a while for the first entry.
func (w *FanoutWorker) readBatch(ctx context.Context) *batch {
	b, size := &batch{}, 0
	for count, wait := max(cmp.Or(w.nextRead, fanoutRead), w.fits), rdb.BlockFor; ; wait = 0 {
		count = w.reads.of(count)
		read, err := w.readNew(ctx, count, wait)
		w.reads.note(min(count, fanoutRead), err)
		w.fits = read.fits
		b.entries, b.subs, b.err = append(b.entries, read.entries...), read.subs, err
		got := bodies(read.entries)
		size += got
		w.nextRead = nextRead(len(read.entries), got)
		b.full = len(read.entries) == count || read.more
		w.more = b.full || len(read.entries) > fanoutRead
		w.behind.Store(w.more)
		if err != nil || !b.full || len(b.entries) >= fanoutBatch/4 || size >= fanoutBytes {
			return b
		}
		count = max(w.nextRead, w.fits-len(b.entries))
	}
}

// readNew reads new entries, and waits for the first. While there are none it waits together with other partitions.
func (w *FanoutWorker) readNew(ctx context.Context, count int, wait time.Duration) (read arrivals, err error) {
	if w.idle && wait > 0 {
		if shared := w.Store.sharedWith(w.Partition); shared != nil {
			var alone time.Duration
			if read, alone, err = shared.wait(w.Partition); alone == 0 {
				w.idle = err == nil && len(read.entries) == 0
				return read, err
			}
			wait = alone
		}
	}
	read, err = w.Store.readNew(ctx, w.Partition, count, wait, w.more)
	w.idle = wait > 0 && err == nil && len(read.entries) == 0
	return read, err
}

func bodies(entries []Entry) (size int) {
	for _, e := range entries {
		size += e.fields.Size()
	}
	return size
}

// nextRead is how many entries to read next, after n entries with size bytes of bodies. It takes the next ones to be about as large.
func nextRead(n, size int) int {
	if size == 0 {
		return fanoutRead
	}
	return min(max(1, fanoutBytes*n/size), fanoutRead)
}
