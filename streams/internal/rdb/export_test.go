package rdb

import (
	"context"
	"net"

	"github.com/redis/go-redis/v9"
)

// OpenConn makes a DB whose connections come from dial.
func OpenConn(dial func() net.Conn) *DB {
	return &DB{client: redis.NewClient(&redis.Options{
		Protocol: 2, DisableIdentity: true, MaxRetries: -1,
		Dialer: func(context.Context, string, string) (net.Conn, error) { return dial(), nil },
	})}
}

// Client is the client of a DB, for the old way to read.
func (db *DB) Client() redis.UniversalClient { return db.client }

// Peruse sends a command whose answer a Cursor reads.
func Peruse[T any](c Conn, decode func(*Cursor) T, args ...any) *Reply[T] {
	return peruse(c, args, decode)
}
