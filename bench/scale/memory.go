package main

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/solate/medispatcher"
)

var memory = row{"memory", "memory of Redis for a message, by its state", measureMemory}

const memoryMessages = 10_000 // in the state that is measured

// memoryStates are measured one after the other, each on an empty Redis, with bodies of 256 bytes. Where some of the messages fail,
// the rest is delivered.
var memoryStates = []struct {
	name     string
	doc      map[string]any // of the subscription; nil: there is none
	failing  int            // one in so many is in the state
	values   []any          // of an entry, beside topic and body
	dispatch bool
	redis    []string // more settings
}{
	{name: "incoming", failing: 1},
	{name: "ready", doc: map[string]any{"paused": true}, failing: 1, dispatch: true},
	{name: "ready, waiting behind others of its key", doc: map[string]any{"paused": true, "ordered": true}, failing: 1, values: []any{"key", "k"}, dispatch: true},
	{name: "delayed", failing: 1, values: []any{"delay", "24h"}, dispatch: true},
	{name: "unrouted", failing: 1, dispatch: true},
	{name: "retrying, 1 in 2", doc: map[string]any{"retry_coefficient": "1h"}, failing: 2, dispatch: true},
	{name: "retrying, 1 in 10", doc: map[string]any{"retry_coefficient": "1h"}, failing: 10, dispatch: true},
	{name: "retrying, 1 in 100", doc: map[string]any{"retry_coefficient": "1h"}, failing: 100, dispatch: true},
	{name: "retrying, 1 in 100, with nodes of 1 KiB", doc: map[string]any{"retry_coefficient": "1h"}, failing: 100, dispatch: true, redis: []string{"--stream-node-max-bytes", "1024"}},
	{name: "dead", doc: map[string]any{"max_retries": 0}, failing: 2, dispatch: true},
}

func measureMemory(ctx context.Context, s *site) ([]figure, error) {
	var figures []figure
	for _, state := range memoryStates {
		messages := min(memoryMessages*state.failing, 200_000)
		bytes, err := s.weigh(ctx, messages, state.doc, state.failing, state.values, state.dispatch, state.redis)
		s.stop()
		s.running = nil
		if err != nil {
			return nil, fmt.Errorf("%s: %w", state.name, err)
		}
		figures = append(figures, figure{what: state.name, value: bytes / float64(messages/state.failing), unit: "bytes"})
	}
	return figures, nil
}

// weigh publishes messages, and returns by how many bytes the memory of Redis grew.
func (s *site) weigh(ctx context.Context, messages int, doc map[string]any, failing int, values []any, dispatch bool, settings []string) (float64, error) {
	if err := s.startRedis(ctx, append(settings, noRewrite...)...); err != nil {
		return 0, err
	}
	r, err := newReceiver(ctx)
	if err != nil {
		return 0, err
	}
	if failing > 1 {
		r.failing = int64(failing)
	}
	store, err := s.open(1)
	if err != nil {
		return 0, err
	}
	defer func() { _ = store.Close() }()
	if doc != nil {
		whole := map[string]any{"topic": "topic.0", "urls": []string{"http://" + r.addr + "/"}, "concurrency": 64}
		maps.Copy(whole, doc)
		text, err := json.Marshal(whole)
		if err != nil {
			return 0, err
		}
		for _, done := range registryOf(store).PutAll(ctx, []medispatcher.SubscriptionPut{{ID: "sub-0", Document: text}}) {
			if done.Err != nil {
				return 0, done.Err
			}
		}
	}
	if dispatch {
		if _, err := s.serve(ctx, s.addr, 1); err != nil {
			return 0, err
		}
	}
	used := func() (float64, error) {
		info, err := s.info(ctx, s.addr, "memory")
		if err != nil {
			return 0, err
		}
		// What clients and the log hold comes and goes.
		return strconv.ParseFloat(info["used_memory_dataset"], 64)
	}
	before, err := used()
	if err != nil {
		return 0, err
	}
	for left := messages; left > 0; {
		n := min(left, 5000) // more would wait in the way
		if err := s.add(ctx, 1, n, 256, func(i int) []any {
			return append([]any{"topic", "topic.0", "body", fmt.Sprintf("%0256d", left-i)}, values...)
		}); err != nil {
			return 0, err
		}
		left -= n
		if dispatch {
			if err := s.awaitMoved(ctx); err != nil {
				return 0, err
			}
		}
	}
	if failing > 1 {
		if _, err := r.await(ctx, messages, farWithin); err != nil {
			return 0, err
		}
	}
	if err := pause(ctx, time.Second); err != nil {
		return 0, err
	}
	after, err := used()
	return after - before, err
}

// awaitMoved waits until the incoming stream is empty.
func (s *site) awaitMoved(ctx context.Context) error {
	c := s.client()
	defer func() { _ = c.Close() }()
	for end := time.Now().Add(farWithin); time.Now().Before(end); {
		n, err := c.XLen(ctx, "medis:{0}:incoming").Result()
		if err != nil && !redis.HasErrorPrefix(err, "LOADING") {
			return err
		}
		if n == 0 {
			return nil
		}
		if err := pause(ctx, 20*time.Millisecond); err != nil {
			return err
		}
	}
	return fmt.Errorf("the incoming stream is not empty within %s", farWithin)
}
