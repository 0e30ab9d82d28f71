package main

import (
	"context"
	"log"
	"time"

	"github.com/redis/go-redis/v9"
	"golang.org/x/sync/errgroup"
)

// ackWithin is how long a message that was accepted waits for others that are acknowledged with it.
const ackWithin = 5 * time.Millisecond

// channel is the loop of one subscription: a reader, workers, and one that acknowledges for all.
// Measured beside it: workers that read ten messages each and acknowledge them themselves need a fifth
// more CPU time; reading a hundred and waiting until all are posted
// needs as much, and one slow answer holds the hundred.
type channel struct {
	rdb           *redis.Client
	stream, group string
	remove        bool // what is acknowledged
	send          func(body []byte) error
	todo          chan redis.XMessage
	done          chan string // ids
}

func (c *channel) run(ctx context.Context, workers int) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		return read(ctx, c.rdb, c.stream, c.group, func(all []redis.XMessage) error {
			for _, m := range all {
				select {
				case c.todo <- m:
				case <-ctx.Done():
					return ctx.Err()
				}
			}
			return nil
		})
	})
	for range workers {
		g.Go(func() error { return c.work(ctx) })
	}
	g.Go(func() error { return c.acknowledge(ctx) })
	return g.Wait()
}

func (c *channel) work(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case m := <-c.todo:
			body, _ := m.Values["body"].(string)
			if err := c.send([]byte(body)); err != nil {
				log.Print(err)
				continue
			}
			select {
			case c.done <- m.ID:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	}
}

func (c *channel) acknowledge(ctx context.Context) error {
	for {
		ids, err := c.some(ctx)
		if err != nil {
			return err
		}
		if _, err := c.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
			p.XAck(ctx, c.stream, c.group, ids...)
			if c.remove {
				p.XDel(ctx, c.stream, ids...)
			}
			return nil
		}); err != nil {
			return err
		}
	}
}

// some waits for a message that was accepted, and for others a little longer.
func (c *channel) some(ctx context.Context) (ids []string, err error) {
	var late <-chan time.Time
	for len(ids) < readMost {
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-late:
			return ids, nil
		case id := <-c.done:
			if ids = append(ids, id); late == nil {
				late = time.After(ackWithin)
			}
		}
	}
	return ids, nil
}
