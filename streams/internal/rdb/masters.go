package rdb

import (
	"context"
	"fmt"

	"github.com/redis/go-redis/v9"
)

// EachMaster runs do for every master of a cluster, all at once, or for the one Redis that there is.
func (db *DB) EachMaster(ctx context.Context, do func(context.Context, *redis.Client) error) error {
	switch c := db.Client.(type) {
	case *redis.ClusterClient:
		return c.ForEachMaster(ctx, do)
	case *redis.Client:
		return do(ctx, c)
	}
	return fmt.Errorf("redis: unknown kind of client %T", db.Client)
}

// IsCluster reports whether this is a Redis Cluster.
func (db *DB) IsCluster() bool {
	_, ok := db.Client.(*redis.ClusterClient)
	return ok
}
