package main

import (
	"context"
	"fmt"
	"time"
)

var (
	far5 = row{"far-5ms", "one subscription of concurrency 512, 5 ms from Redis", func(ctx context.Context, s *site) ([]figure, error) {
		return measureFar(ctx, s, 5*time.Millisecond, 60_000, 20_000)
	}}
	far50 = row{"far-50ms", "one subscription of concurrency 512, 50 ms from Redis", func(ctx context.Context, s *site) ([]figure, error) {
		return measureFar(ctx, s, 50*time.Millisecond, 30_000, 5000)
	}}
	farCold = row{"far-cold", "the first message of each of 2,000 subscriptions, 5 ms from Redis", measureCold}
)

// farWithin is how long all deliveries may take.
const farWithin = 2 * time.Minute

// measureFar measures how quickly a backlog is delivered. goal is in deliveries a second.
func measureFar(ctx context.Context, s *site, trip time.Duration, messages int, goal float64) ([]figure, error) {
	r, err := s.farSite(ctx, trip, 1, 512)
	if err != nil {
		return nil, err
	}
	if err := s.publish(ctx, 1); err != nil { // the connections are made, the scripts are known
		return nil, err
	}
	if _, err := r.await(ctx, 1, farWithin); err != nil {
		return nil, err
	}
	if err := s.publish(ctx, messages); err != nil {
		return nil, err
	}
	began := time.Now()
	last, err := r.await(ctx, 1+messages, farWithin)
	if err != nil {
		return nil, err
	}
	return []figure{{what: "deliveries", value: float64(messages) / last.Sub(began).Seconds(), unit: "/s", least: goal}}, nil
}

func measureCold(ctx context.Context, s *site) ([]figure, error) {
	const subs = 2000
	r, err := s.farSite(ctx, 5*time.Millisecond, subs, 8)
	if err != nil {
		return nil, err
	}
	began := time.Now()
	if err := s.publishEach(ctx, subs); err != nil {
		return nil, err
	}
	last, err := r.await(ctx, subs, farWithin)
	if err != nil {
		return nil, err
	}
	return []figure{{what: "until all are delivered", value: last.Sub(began).Seconds(), unit: "s", most: 1}}, nil
}

// farSite starts a dispatcher at some distance from Redis, and the receiver of its subscriptions.
func (s *site) farSite(ctx context.Context, trip time.Duration, subs, concurrency int) (*receiver, error) {
	if err := s.startRedis(ctx); err != nil {
		return nil, err
	}
	r, err := newReceiver(ctx)
	if err != nil {
		return nil, err
	}
	store, err := s.open(1)
	if err != nil {
		return nil, err
	}
	defer func() { _ = store.Close() }()
	if err := s.subscribe(ctx, store, subs, "http://"+r.addr+"/", concurrency); err != nil {
		return nil, err
	}
	addr, err := distance(ctx, s.addr, trip)
	if err != nil {
		return nil, err
	}
	if _, err := s.serve(ctx, addr, 1); err != nil {
		return nil, fmt.Errorf("a dispatcher %s from Redis: %w", trip, err)
	}
	return r, pause(ctx, 2*time.Second)
}
