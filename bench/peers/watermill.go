package main

import (
	"context"
	"fmt"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill-redisstream/pkg/redisstream"
	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/redis/go-redis/v9"
	"golang.org/x/sync/errgroup"
)

// runWatermill has a consumer group for each subscription, and in it a subscriber for each request in
// flight: a subscriber of Watermill has one message at a time, which it acknowledges alone.
func runWatermill(ctx context.Context, l *load, ready func()) error {
	send := netHTTP(l.inFlight(), l.Timeout)
	rdb := redis.NewClient(&redis.Options{Addr: l.Redis, PoolSize: 2 * l.inFlight()}) // each acknowledges while it reads ahead
	defer func() { _ = rdb.Close() }()
	var g errgroup.Group
	for i, url := range l.URLs {
		for n := range l.Plan.Concurrency {
			sub, err := redisstream.NewSubscriber(redisstream.SubscriberConfig{
				Client: rdb, ConsumerGroup: group(i), Consumer: fmt.Sprint("consumer-", n),
			}, watermill.NopLogger{})
			if err != nil {
				return err
			}
			messages, err := sub.Subscribe(ctx, l.Stream)
			if err != nil {
				return err
			}
			g.Go(func() error {
				for m := range messages {
					if err := send(url, m.Payload); err != nil {
						m.Nack()
						continue
					}
					m.Ack()
				}
				return nil
			})
		}
	}
	ready()
	return g.Wait()
}

func watermillPublisher(l *load) (func(context.Context, []byte) error, error) {
	rdb := redis.NewClient(&redis.Options{Addr: l.Redis})
	pub, err := redisstream.NewPublisher(redisstream.PublisherConfig{Client: rdb}, watermill.NopLogger{})
	if err != nil {
		return nil, err
	}
	return func(_ context.Context, body []byte) error {
		return pub.Publish(l.Stream, message.NewMessage(watermill.NewUUID(), body))
	}, nil
}
