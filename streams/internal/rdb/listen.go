package rdb

import (
	"context"
	"errors"
	"net"
	"time"

	"github.com/redis/go-redis/v9"
)

// Subscription is a connection that hears what is published.
type Subscription struct{ sub *redis.PubSub }

// Subscribe begins to hear a channel.
func (db *DB) Subscribe(ctx context.Context, channel string) *Subscription {
	return &Subscription{db.client.Subscribe(ctx, channel)}
}

// Close ends it, and a Receive that waits.
func (s *Subscription) Close() error { return s.sub.Close() }

// Ping asks Redis for a sign of life, which Receive then sees.
func (s *Subscription) Ping(ctx context.Context) error { return s.sub.Ping(ctx) }

// Heard is what Receive met.
type Heard int

// What Receive can meet.
const (
	HeardMessage Heard = iota // with its text
	HeardBegin                // the subscription begins, maybe anew: what was published before was not heard
	HeardOther                // a sign of life
	HeardNothing              // within the time given
)

// Receive waits for the next message, so long at most.
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

// TrySubscribe finds out whether this user may hear a channel.
func (db *DB) TrySubscribe(ctx context.Context, channel string) error {
	sub := db.client.Subscribe(ctx)
	defer func() { _ = sub.Close() }()
	if err := sub.Subscribe(ctx, channel); err != nil {
		return err
	}
	_, err := sub.ReceiveTimeout(ctx, ReplyTimeout)
	return err
}
