package loadtest

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/solate/medispatcher"
)

// queue is a Redis that a test looks into.
type queue struct {
	mu     sync.Mutex
	bodies map[string]int // how often each was written
	refuse func(call int) error
	calls  int
}

func (q *queue) PublishAll(_ context.Context, messages []medispatcher.Message) ([]string, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.calls++
	if q.refuse != nil {
		if err := q.refuse(q.calls); err != nil {
			return make([]string, len(messages)), err
		}
	}
	ids := make([]string, len(messages))
	for i, m := range messages {
		q.bodies[string(m.Body)[:timeAt]]++ // the time differs when it is written again
		ids[i] = "0-1"
	}
	return ids, nil
}

func (q *queue) written() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.bodies)
}

// publisherOf is a publisher of 50 messages.
func publisherOf(q *queue, p Plan) *Publisher {
	q.bodies = map[string]int{}
	p.Messages, p.Size, p.Subscribers = 50, 100, 2
	return &Publisher{Plan: p, Run: p.NewRun(), Store: q, Began: time.Now()}
}

func TestPublisherKeepsTheRate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := &queue{}
		p := publisherOf(q, Plan{Rate: 100})
		if err := p.Publish(t.Context()); err != nil {
			t.Fatal(err)
		}
		if p.Written() != 50 || q.written() != 50 || p.Last() != 490*time.Millisecond {
			t.Errorf("%d written, %d bodies, the last after %s", p.Written(), q.written(), p.Last())
		}
	})
}

// TestPublisherWaitsForDeliveries: what is published and not delivered is bounded, here by twice the concurrency.
func TestPublisherWaitsForDeliveries(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := &queue{}
		p := publisherOf(q, Plan{})
		p.Plan.Subscribers, p.Plan.Concurrency, p.Plan.Messages = aheadDeliveries, 5, 25
		var mu sync.Mutex
		delivered := 0
		p.Arrived = func() int64 { mu.Lock(); defer mu.Unlock(); return int64(aheadDeliveries * delivered) }
		done := make(chan error, 1)
		go func() { done <- p.Publish(t.Context()) }()
		for _, want := range []int{10, 17, 24, 25} {
			time.Sleep(time.Second)
			if n := q.written(); n != want {
				t.Errorf("%d written, want %d", n, want)
			}
			mu.Lock()
			delivered = want - 3
			mu.Unlock()
		}
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func TestPublisherRepeatsUntilItsWaitIsOver(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		down := errors.New("down")
		q := &queue{refuse: func(call int) error {
			if call < 3 {
				return down
			}
			return nil
		}}
		p := publisherOf(q, Plan{Wait: time.Minute})
		if err := p.Publish(t.Context()); err != nil || q.written() != 50 {
			t.Errorf("%v, %d written", err, q.written())
		}
		q = &queue{refuse: func(int) error { return down }}
		p = publisherOf(q, Plan{Wait: time.Minute})
		began := time.Now()
		if err := p.Publish(t.Context()); !errors.Is(err, down) || time.Since(began) < time.Minute {
			t.Errorf("%v after %s", err, time.Since(began))
		}
	})
}
