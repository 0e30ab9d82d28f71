package rdb

import (
	"context"
	"fmt"

	"github.com/redis/go-redis/v9"
)

// Node is one server: a master of a cluster, or the only Redis.
type Node struct {
	Addr   string
	client *redis.Client
}

// With sends commands to this server one by one.
func (n *Node) With(ctx context.Context) Conn { return direct{ctx, n.client} }

// Pipe begins a round trip to this server.
func (n *Node) Pipe(ctx context.Context) *Pipe { return &Pipe{ctx: ctx, pipe: n.client.Pipeline()} }

func nodeOf(c *redis.Client) *Node { return &Node{c.Options().Addr, c} }

// EachMaster runs do for all masters of a cluster concurrently, or for the only Redis.
func (db *DB) EachMaster(ctx context.Context, do func(context.Context, *Node) error) error {
	switch c := db.client.(type) {
	case *redis.ClusterClient:
		return c.ForEachMaster(ctx, func(ctx context.Context, c *redis.Client) error { return do(ctx, nodeOf(c)) })
	case *redis.Client:
		return do(ctx, nodeOf(c))
	}
	return fmt.Errorf("unknown kind of Redis client %T", db.client)
}

// MasterOf is the server that holds a key.
func (db *DB) MasterOf(ctx context.Context, key string) (*Node, error) {
	switch c := db.client.(type) {
	case *redis.ClusterClient:
		master, err := c.MasterForKey(ctx, key)
		if err != nil {
			return nil, err
		}
		return nodeOf(master), nil
	case *redis.Client:
		return nodeOf(c), nil
	}
	return nil, fmt.Errorf("unknown kind of Redis client %T", db.client)
}

// IsCluster reports whether this is a Redis Cluster.
func (db *DB) IsCluster() bool {
	_, ok := db.client.(*redis.ClusterClient)
	return ok
}
