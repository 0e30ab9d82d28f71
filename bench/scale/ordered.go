package main

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/solate/medispatcher"
)

var ordered = row{"ordered", "a backlog of an ordered subscription, by its number of keys and the size of its batches", measureOrdered}

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
	kinds := []struct {
		what        string
		keys, batch int
		ordered     bool
	}{
		{"without order", 10_000, 1, false},
		{"ordered, 10 keys", 10, 1, true},
		{"ordered, 10,000 keys", 10_000, 1, true},
		{"batches of 100", 10_000, 100, false},
		{"batches of 100, ordered, 10 keys", 10, 100, true},
		{"batches of 100, ordered, 10,000 keys", 10_000, 100, true},
	}
	puts := make([]medispatcher.SubscriptionPut, len(kinds))
	for i, k := range kinds {
		doc, err := json.Marshal(map[string]any{
			"topic": fmt.Sprintf("topic.%d", i), "urls": []string{"http://" + r.addr + "/"}, "concurrency": 64, "ordered": k.ordered,
			"batch": map[string]any{"size": k.batch},
		})
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
	rates, want := make([]float64, len(kinds)), 0
	for range orderedRounds {
		for i, k := range kinds {
			began := time.Now()
			if err := s.write(ctx, orderedMessages, func(int) int { return i }, func(m int) string { return fmt.Sprintf("%d", m%k.keys) }); err != nil {
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
	figures := make([]figure, len(kinds))
	for i, k := range kinds {
		figures[i] = figure{what: k.what, value: rates[i], unit: "/s"}
	}
	return append(figures, figure{what: "10,000 keys, of the rate without order", value: rates[2] / rates[0], least: orderedGoal}), nil
}
