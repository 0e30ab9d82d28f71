package main

import (
	"context"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/solate/medispatcher"
)

const (
	benchPublishers = 4
	benchBatch      = 100     // messages in one round trip at most
	benchBatchBytes = 1 << 20 // of their bodies, roughly

	// So much is published and not delivered at most. The first is below the backlog of the
	// incoming stream that alerts by default, the second that of all channels.
	benchAhead           = 4000
	benchAheadDeliveries = 40_000
	benchAheadBytes      = 256 << 20 // in Redis
)

// benchPublisher publishes the messages of a load test.
type benchPublisher struct {
	*state
	flags   benchFlags
	topic   string
	recv    *benchReceiver
	written atomic.Int64
	last    atomic.Int64 // when the last one was written, ns after the start
}

// benchSpan is the messages from number from to below to.
type benchSpan struct{ from, to int }

// run publishes everything. Its error is of Redis, or ctx's.
func (p *benchPublisher) run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	spans := make(chan benchSpan)
	g.Go(func() error {
		defer close(spans)
		return p.feed(ctx, spans)
	})
	for range benchPublishers {
		g.Go(func() error {
			for span := range spans {
				if err := p.publish(ctx, span); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return g.Wait()
}

// ahead is how many messages may be published and not delivered to all.
func (p *benchPublisher) ahead() int {
	f := p.flags
	n := min(benchAhead, max(benchAheadDeliveries/f.subscribers, 2*f.concurrency), benchAheadBytes/(int(f.size)*(f.subscribers+1)))
	return max(1, n)
}

// feed hands the messages out, no faster than it is asked for and than they are delivered.
func (p *benchPublisher) feed(ctx context.Context, spans chan<- benchSpan) error {
	f, ahead := p.flags, p.ahead()
	batch := max(1, min(benchBatch, benchBatchBytes/int(f.size), ahead))
	began := time.Now()
	for next := 0; next < f.messages; {
		n := min(batch, f.messages-next, ahead-(next-int(p.recv.count().arrived)/f.subscribers))
		pause := time.Millisecond
		if f.rate > 0 {
			due := began.Add(time.Duration(float64(next) / float64(f.rate) * float64(time.Second)))
			if early := time.Until(due); early > 0 {
				n, pause = 0, early
			} else {
				n = min(n, 1+int(float64(f.rate)*-early.Seconds()))
			}
		}
		if n <= 0 {
			medispatcher.Sleep(ctx, pause)
			if ctx.Err() != nil {
				return ctx.Err()
			}
			continue
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case spans <- benchSpan{next, next + n}:
			next += n
		}
	}
	return nil
}

// publish writes a span, again and again what nobody knows to be written: if only the
// reply was lost, subscribers get it twice, which is counted.
func (p *benchPublisher) publish(ctx context.Context, span benchSpan) error {
	messages := make([]medispatcher.Message, 0, span.to-span.from)
	for n := span.from; n < span.to; n++ {
		body := benchBody(p.recv.run, n, time.Since(p.recv.began), int(p.flags.size))
		messages = append(messages, medispatcher.Message{Topic: p.topic, Body: body, Sender: "bench"})
	}
	var back medispatcher.Backoff
	for since := time.Now(); ; back.Wait(ctx) {
		step, cancel := context.WithTimeout(ctx, stepWithin)
		ids, err := p.store.PublishAll(step, messages)
		cancel()
		left := messages[:0]
		for i, id := range ids {
			if id == "" {
				left = append(left, messages[i])
			}
		}
		if n := len(messages) - len(left); n > 0 {
			p.written.Add(int64(n))
			p.last.Store(int64(time.Since(p.recv.began)))
			since = time.Now()
		}
		messages = left
		switch {
		case len(left) == 0:
			return nil
		case ctx.Err() != nil:
			return ctx.Err()
		case time.Since(since) > p.flags.wait:
			return p.explain(err)
		}
	}
}
