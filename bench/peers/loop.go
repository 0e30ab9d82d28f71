package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"time"

	"github.com/redis/go-redis/v9"
	"golang.org/x/sync/errgroup"
)

const (
	fanoutRead = 100 // messages in one read of the fan-out
	pushRead   = 10  // messages in one read of a consumer
	block      = time.Second
)

// loop is XREADGROUP, POST, XACK in a loop. It has no retries: what is not accepted stays pending, and
// nobody looks for it. Each request in flight is a consumer of its own, which reads a few messages,
// posts them one after the other and acknowledges them together. That is both the shortest such program
// and the quickest: a reader that hands messages to workers over a channel, and gets back what to
// acknowledge, needs more time for both.
type loop struct {
	client func(conns int, timeout time.Duration) post
	// copies: a fan-out copies each message to a stream for each subscription. Otherwise all
	// subscriptions are groups of the one stream, and nobody deletes what all have: that is left to a
	// MAXLEN of the producer, which also deletes what they do not have yet.
	copies bool
}

func (lo loop) run(ctx context.Context, l *load, ready func()) error {
	rdb := redis.NewClient(&redis.Options{Addr: l.Redis, PoolSize: l.inFlight() + 2})
	defer func() { _ = rdb.Close() }()
	send := lo.client(l.inFlight(), l.Timeout)
	g, ctx := errgroup.WithContext(ctx)
	streams := make([]string, len(l.URLs))
	for i := range streams {
		streams[i] = l.Stream
		if lo.copies {
			streams[i] = fmt.Sprint("channel-", i)
		}
		if err := rdb.XGroupCreateMkStream(ctx, streams[i], group(i), "0").Err(); err != nil {
			return err
		}
	}
	if lo.copies {
		if err := rdb.XGroupCreateMkStream(ctx, l.Stream, "fanout", "0").Err(); err != nil {
			return err
		}
		g.Go(func() error {
			return consume(ctx, rdb, l.Stream, "fanout", "fanout", fanoutRead, func(all []redis.XMessage) error {
				return fanOut(ctx, rdb, l.Stream, streams, all)
			})
		})
	}
	for i, url := range l.URLs {
		for n := range l.Plan.Concurrency {
			g.Go(func() error {
				return consume(ctx, rdb, streams[i], group(i), fmt.Sprint("consumer-", n), pushRead, func(all []redis.XMessage) error {
					return lo.push(ctx, rdb, streams[i], group(i), url, send, all)
				})
			})
		}
	}
	ready()
	return g.Wait()
}

func group(i int) string { return fmt.Sprint("group-", i) }

// consume reads messages and hands them on, until ctx ends or the latter fails.
func consume(ctx context.Context, rdb *redis.Client, stream, group, consumer string, count int64, do func([]redis.XMessage) error) error {
	for {
		found, err := rdb.XReadGroup(ctx, &redis.XReadGroupArgs{
			Group: group, Consumer: consumer, Streams: []string{stream, ">"}, Count: count, Block: block,
		}).Result()
		switch {
		case errors.Is(err, redis.Nil):
			continue
		case err != nil:
			return err
		}
		if err := do(found[0].Messages); err != nil {
			return err
		}
	}
}

// fanOut copies messages to all streams. In a transaction, so that a crash does not copy them again.
func fanOut(ctx context.Context, rdb *redis.Client, from string, to []string, all []redis.XMessage) error {
	_, err := rdb.TxPipelined(ctx, func(p redis.Pipeliner) error {
		ids := make([]string, len(all))
		for i, m := range all {
			ids[i] = m.ID
			for _, stream := range to {
				p.XAdd(ctx, &redis.XAddArgs{Stream: stream, Values: []any{"body", m.Values["body"]}})
			}
		}
		p.XAck(ctx, from, "fanout", ids...)
		p.XDel(ctx, from, ids...)
		return nil
	})
	return err
}

// push posts messages and acknowledges those that were accepted.
func (lo loop) push(ctx context.Context, rdb *redis.Client, stream, group, url string, send post, all []redis.XMessage) error {
	accepted := make([]string, 0, len(all))
	for _, m := range all {
		body, _ := m.Values["body"].(string)
		if err := send(url, []byte(body)); err != nil {
			log.Print(err)
			continue
		}
		accepted = append(accepted, m.ID)
	}
	if len(accepted) == 0 {
		return nil
	}
	_, err := rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		p.XAck(ctx, stream, group, accepted...)
		if lo.copies {
			p.XDel(ctx, stream, accepted...)
		}
		return nil
	})
	return err
}
