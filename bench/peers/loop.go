package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"
	"golang.org/x/sync/errgroup"
)

const (
	readMost = 100 // messages in one read
	block    = time.Second
)

// loop is XREADGROUP, POST, XACK in a loop. It has no retries: what is not accepted stays pending, and
// nobody looks for it.
type loop struct {
	client func(conns int, timeout time.Duration) post
	// copies: a fan-out copies each message to a stream for each subscription. Otherwise all
	// subscriptions are groups of the one stream, and nobody deletes what all have: that is left to a
	// MAXLEN of the producer, which also deletes what they do not have yet.
	copies bool
}

func (lo loop) run(ctx context.Context, l *load, ready func()) error {
	rdb := redis.NewClient(&redis.Options{Addr: l.Redis, PoolSize: 2*len(l.URLs) + 2})
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
			return read(ctx, rdb, l.Stream, "fanout", func(all []redis.XMessage) error {
				return fanOut(ctx, rdb, l.Stream, streams, all)
			})
		})
	}
	for i, url := range l.URLs {
		c := &channel{
			rdb: rdb, stream: streams[i], group: group(i), remove: lo.copies,
			send: func(body []byte) error { return send(url, body) },
			todo: make(chan redis.XMessage, readMost), done: make(chan string, readMost),
		}
		g.Go(func() error { return c.run(ctx, l.Plan.Concurrency) })
	}
	ready()
	return g.Wait()
}

func group(i int) string { return fmt.Sprint("group-", i) }

// read reads messages and hands them on, until ctx ends or the latter fails.
func read(ctx context.Context, rdb *redis.Client, stream, group string, do func([]redis.XMessage) error) error {
	for {
		found, err := rdb.XReadGroup(ctx, &redis.XReadGroupArgs{
			Group: group, Consumer: "consumer", Streams: []string{stream, ">"}, Count: readMost, Block: block,
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
