package loadtest

import (
	"context"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/solate/medispatcher"
)

const (
	publishers = 4
	batchMost  = 100     // messages in one round trip
	batchBytes = 1 << 20 // of their bodies, roughly

	// Bounds of what is published and not delivered. The first is below the backlog of the incoming
	// stream that alerts by default, the second below that of all channels.
	aheadMessages   = 4000
	aheadDeliveries = 40_000
	aheadBytes      = 256 << 20 // in Redis

	// stepWithin bounds one step in Redis.
	stepWithin = 10 * time.Second
)

// Publisher is the load generator: it publishes the messages of a run.
type Publisher struct {
	Plan  Plan
	Run   medispatcher.BenchRun
	Store interface {
		// PublishAll returns the ids of what was written, and an empty one for the rest.
		PublishAll(ctx context.Context, messages []medispatcher.Message) (ids []string, err error)
	}
	First int       // the number of the first message; Plan.Messages is one more than that of the last
	Began time.Time // of the run; bodies carry the time since then
	// Arrived is the number of deliveries so far, which bounds what waits. Nil: nothing bounds it.
	Arrived func() int64

	written atomic.Int64
	last    atomic.Int64 // ns
}

// Written is the number of messages published so far.
func (p *Publisher) Written() int64 { return p.written.Load() }

// Last is when the last one was published, after the start of the run.
func (p *Publisher) Last() time.Duration { return time.Duration(p.last.Load()) }

// span is the messages from number from to below to.
type span struct{ from, to int }

// Publish publishes everything. Its error is that of Redis, or of ctx.
func (p *Publisher) Publish(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	spans := make(chan span)
	g.Go(func() error {
		defer close(spans)
		return p.feed(ctx, spans)
	})
	for range publishers {
		g.Go(func() error {
			for s := range spans {
				if err := p.publish(ctx, s); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return g.Wait()
}

// ahead is how many messages may be published and not delivered to all.
func (p *Publisher) ahead() int {
	if p.Arrived == nil {
		return p.Plan.Messages
	}
	n := min(aheadMessages, max(aheadDeliveries/p.Plan.Subscribers, 2*p.Plan.Concurrency), aheadBytes/(p.Plan.Size*(p.Plan.Subscribers+1)))
	return max(1, n)
}

// arrived is how many messages were delivered to all, on average.
func (p *Publisher) arrived() int {
	if p.Arrived == nil {
		return 0
	}
	return int(p.Arrived()) / p.Plan.Subscribers
}

// feed hands the messages out, no faster than the plan says and than they are delivered.
func (p *Publisher) feed(ctx context.Context, spans chan<- span) error {
	ahead, rate := p.ahead(), float64(p.Plan.Rate)
	batch := max(1, min(batchMost, batchBytes/p.Plan.Size, ahead))
	began := time.Now()
	for next := p.First; next < p.Plan.Messages; {
		n := min(batch, p.Plan.Messages-next, ahead-(next-p.arrived()))
		pause := time.Millisecond
		if rate > 0 {
			due := began.Add(time.Duration(float64(next-p.First) / rate * float64(time.Second)))
			if early := time.Until(due); early > 0 {
				n, pause = 0, early
			} else {
				n = min(n, 1+int(rate*-early.Seconds()))
			}
		}
		if n <= 0 {
			if !medispatcher.Sleep(ctx, pause) {
				return ctx.Err()
			}
			continue
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case spans <- span{next, next + n}:
			next += n
		}
	}
	return nil
}

// publish writes a span. What may not have been written it writes again: if only the reply was
// lost, subscribers get it twice, which the receiver counts.
func (p *Publisher) publish(ctx context.Context, s span) error {
	messages := make([]medispatcher.Message, 0, s.to-s.from)
	for n := s.from; n < s.to; n++ {
		body := Body(p.Run.Run, n, time.Since(p.Began), p.Plan.Size)
		messages = append(messages, medispatcher.Message{Topic: p.Run.Topic(), Body: body, Sender: "bench"})
	}
	var back medispatcher.Backoff
	for since := time.Now(); ; back.Wait(ctx) {
		step, cancel := context.WithTimeout(ctx, stepWithin)
		ids, err := p.Store.PublishAll(step, messages)
		cancel()
		left := messages[:0]
		for i, id := range ids {
			if id == "" {
				left = append(left, messages[i])
			}
		}
		if n := len(messages) - len(left); n > 0 {
			p.written.Add(int64(n))
			p.last.Store(int64(time.Since(p.Began)))
			since = time.Now()
		}
		messages = left
		switch {
		case len(left) == 0:
			return nil
		case ctx.Err() != nil:
			return ctx.Err()
		case time.Since(since) > p.Plan.Wait:
			return err
		}
	}
}
