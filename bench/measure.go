package main

import (
	"context"
	"fmt"
	"time"

	"github.com/solate/medispatcher/bench/internal/proc"
)

// method is how a rate is measured.
type method struct {
	backlog bool          // everything is published before the clock runs
	all     bool          // what makes a difference is on: one subscription is signed, alerts have a receiver
	timeout time.Duration // of a request of the limit
	answer  string        // of the receiver
}

// The two count differently, so their ratios cannot be compared. The engine method asks how quick the
// dispatcher is; the whole method how quick it is while producers use the same machine. Everything is
// published before the clock runs, rather than ahead of the dispatcher: how far ahead would differ
// from system to system, and publishing would cost each of them CPU time.
var methods = map[string]method{
	"engine": {backlog: true, all: true, timeout: 5 * time.Second, answer: "ok\n"},
	"whole":  {},
}

// result is what one measurement found.
type result struct {
	Rate     float64 // deliveries a second
	P50, P99 float64 // ms from publishing to arrival
	Twice    int64   // deliveries that came again
	System   cost
	Redis    cost
	Receiver cost
}

// warm is how many messages are sent before a measurement: they open connections, and wake what sleeps.
func (s setting) warm() int {
	if !s.backlog {
		return 0
	}
	return 3 * s.concurrency
}

// throughput measures how quickly a system delivers.
func throughput(ctx context.Context, s setting, sys *system) (result, error) {
	return measure(ctx, s, sys, s.messages, 0)
}

// latency measures how long a message takes where there is time enough for all.
func latency(ctx context.Context, s setting, sys *system) (result, error) {
	return measure(ctx, s, sys, max(1, int(float64(s.rate)*s.latencyFor.Seconds())), s.rate)
}

// measure measures a system with so many messages, at a rate or as fast as it can. With a backlog the
// system is frozen while everything is published, so that the clock begins with its first step, and
// systems of any kind begin alike.
func measure(ctx context.Context, s setting, sys *system, messages, rate int) (found result, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("%s: %w", sys.name, err)
		}
	}()
	r, err := build(ctx, s, sys, messages)
	if err != nil {
		return found, err
	}
	defer r.stop()
	if s.warm() > 0 {
		if err := sys.publish(ctx, r, span{To: s.warm()}); err != nil {
			return found, err
		}
		if _, err := r.wait(ctx, s.warm()*s.subscribers); err != nil {
			return found, err
		}
		if err := r.receiver.forgetLatency(ctx); err != nil {
			return found, err
		}
	}
	frozen := s.backlog && rate == 0
	if frozen {
		if err := r.system.Freeze(); err != nil {
			return found, err
		}
	}
	mark := func() (began time.Duration, before [3]proc.Usage) {
		before, err = r.used()
		return time.Since(r.load.Began), before
	}
	began, before := mark()
	if err == nil {
		err = sys.publish(ctx, r, span{From: s.warm(), To: s.warm() + messages, Rate: rate})
	}
	if frozen && err == nil { // the clock and the counters begin here
		began, before = mark()
		r.system.Thaw()
	}
	if err != nil {
		return found, err
	}
	got, err := r.wait(ctx, (s.warm()+messages)*s.subscribers)
	if err != nil {
		return found, err
	}
	time.Sleep(pause)
	after, err := r.used()
	if err != nil {
		return found, err
	}
	deliveries := messages * s.subscribers
	found = result{
		Rate: float64(deliveries) / (got.Last - began).Seconds(), P50: got.Latency.P50, P99: got.Latency.P99, Twice: got.Duplicates,
		System:   costBetween(before[0], after[0], deliveries),
		Redis:    costBetween(before[1], after[1], deliveries),
		Receiver: costBetween(before[2], after[2], deliveries),
	}
	return found, nil
}
