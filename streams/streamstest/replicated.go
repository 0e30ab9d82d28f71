package streamstest

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// OnReplicas runs publish, and reports whether everything it wrote has reached the replicas of the
// masters that were there before. Otherwise a failover may lose it.
func (e *Env) OnReplicas(ctx context.Context, partitions int, publish func() bool) bool {
	masters, err := e.connectMasters(ctx, partitions)
	for _, master := range masters {
		defer func() { _ = master.Close() }()
	}
	safe := err == nil && publish()
	for p, master := range masters {
		safe = safe && replicated(ctx, master, fmt.Sprintf("test:{%d}:written", p))
	}
	if cluster, ok := e.Client.(*redis.ClusterClient); ok && !safe {
		cluster.ReloadState(ctx)
	}
	return safe
}

// connectMasters opens a connection to the master of each partition.
func (e *Env) connectMasters(ctx context.Context, partitions int) (list []*redis.Conn, err error) {
	for p := range partitions {
		var master *redis.Client
		switch c := e.Client.(type) {
		case *redis.ClusterClient:
			if master, err = c.MasterForKey(ctx, fmt.Sprintf("test:{%d}:written", p)); err != nil {
				return list, err
			}
		case *redis.Client:
			master = c
		}
		conn := master.Conn()
		list = append(list, conn)
		if err := conn.Ping(ctx).Err(); err != nil {
			return list, err
		}
	}
	return list, nil
}

// replicated writes a key and waits until a replica has it. The replica then has all earlier writes too.
func replicated(ctx context.Context, master *redis.Conn, key string) bool {
	if master.Set(ctx, key, "", time.Minute).Err() != nil {
		return false
	}
	n, err := master.Wait(ctx, 1, 500*time.Millisecond).Result()
	if err == nil && n == 0 { // a former replica has no replica of its own, so no failover can lose its writes
		info, err := master.Info(ctx, "replication").Result()
		return err == nil && strings.Contains(info, "role:master") && strings.Contains(info, "connected_slaves:0")
	}
	return err == nil
}
