package main

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/solate/medispatcher"
)

var ordered = row{"ordered", "a backlog of an ordered subscription, by its number of keys", measureOrdered}

const (
	orderedMessages = 40_000
	orderedRounds   = 3
	orderedGoal     = 0.8 // of the rate without order, with 10,000 keys
)

// measureOrdered measures how quickly a backlog is delivered without order, and in order. The rounds take turns, so that all
// meet the same machine.
func measureOrdered(ctx context.Context, s *site) ([]figure, error) {
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
	keys := []int{10_000, 10, 10_000} // of sub-0, which is not ordered, and of the others
	puts := make([]medispatcher.SubscriptionPut, len(keys))
	for i := range keys {
		doc, err := json.Marshal(map[string]any{"topic": fmt.Sprintf("topic.%d", i), "urls": []string{"http://" + r.addr + "/"}, "concurrency": 64, "ordered": i > 0})
		if err != nil {
			return nil, err
		}
		puts[i] = medispatcher.SubscriptionPut{ID: fmt.Sprintf("sub-%d", i), Document: doc}
	}
	for _, done := range registryOf(store).PutAll(ctx, puts) {
		if done.Err != nil {
			return nil, done.Err
		}
	}
	if _, err := s.serve(ctx, s.addr, 1); err != nil {
		return nil, err
	}
	rates, want := make([]float64, len(keys)), 0
	for range orderedRounds {
		for i, n := range keys {
			began := time.Now()
			if err := s.write(ctx, orderedMessages, func(int) int { return i }, func(m int) string { return fmt.Sprintf("%d", m%n) }); err != nil {
				return nil, err
			}
			want += orderedMessages
			last, err := r.await(ctx, want, farWithin)
			if err != nil {
				return nil, err
			}
			rates[i] = max(rates[i], orderedMessages/last.Sub(began).Seconds())
		}
	}
	return []figure{
		{what: "without order", value: rates[0], unit: "/s"},
		{what: "ordered, 10 keys", value: rates[1], unit: "/s"},
		{what: "ordered, 10,000 keys", value: rates[2], unit: "/s"},
		{what: "10,000 keys, of the rate without order", value: rates[2] / rates[0], least: orderedGoal},
	}, nil
}
