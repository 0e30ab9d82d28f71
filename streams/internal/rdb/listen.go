package rdb

import (
	"context"
	"errors"
	"net"
	"time"

	"github.com/redis/go-redis/v9"
)

// Subscription is a connection that receives what is published (pub/sub).
type Subscription struct{ sub *redis.PubSub }

// Subscribe begins to listen to pub/sub channels.
func (db *DB) Subscribe(ctx context.Context, channels ...string) *Subscription {
	return &Subscription{db.client.Subscribe(ctx, channels...)}
}

// Close ends the subscription, and a Receive that waits.
func (s *Subscription) Close() error { return s.sub.Close() }

// Ping asks Redis for an answer, which Receive then returns as HeardOther.
func (s *Subscription) Ping(ctx context.Context) error { return s.sub.Ping(ctx) }

// Heard is what Receive got.
type Heard int

// What Receive can get.
const (
	HeardMessage Heard = iota // a message
	HeardBegin                // the subscription began, or began again: earlier messages were missed
	HeardOther                // an answer to Ping
	HeardNothing              // nothing in time
)

// Receive waits for the next message for at most the time within.
func (s *Subscription) Receive(ctx context.Context, within time.Duration) (what Heard, text string, err error) {
	got, err := s.sub.ReceiveTimeout(ctx, within)
	var late net.Error
	switch {
	case errors.As(err, &late) && late.Timeout():
		return HeardNothing, "", nil
	case err != nil:
		return HeardOther, "", err
	}
	switch m := got.(type) {
	case *redis.Message:
		return HeardMessage, m.Payload, nil
	case *redis.Subscription:
		return HeardBegin, "", nil
	}
	return HeardOther, "", nil
}

// TrySubscribe finds out whether this user may listen to a pub/sub channel.
func (db *DB) TrySubscribe(ctx context.Context, channel string) error {
	sub := db.client.Subscribe(ctx)
	defer func() { _ = sub.Close() }()
	if err := sub.Subscribe(ctx, channel); err != nil {
		return err
	}
	_, err := sub.ReceiveTimeout(ctx, ReplyTimeout)
	return err
}
