package streamstest

import (
	"context"
	"fmt"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// FreePort among the arguments of a cluster stands for a free port, another one for each node. Env.OtherPorts has them.
const FreePort = "a free port"

const (
	clusterMasters = 3
	clusterSlots   = 16384
	// clusterNodeTimeout is short enough that a cluster notices a dead master within a test, and long
	// enough for a busy machine.
	clusterNodeTimeout = 2 * time.Second
	clusterReadyWithin = 30 * time.Second
)

// Cluster starts a Redis Cluster of three masters that end with the test. It skips the test if no
// redis-server is installed.
func Cluster(t testing.TB, args ...string) *Env {
	t.Helper()
	return newCluster(t, false, args)
}

// ReplicatedCluster is Cluster with a replica of each master, which takes over within some seconds.
func ReplicatedCluster(t testing.TB, args ...string) *Env {
	t.Helper()
	env := newCluster(t, false, append([]string{"--cluster-node-timeout", "1000", "--cluster-replica-validity-factor", "0", "--repl-diskless-sync-delay", "0"}, args...))
	for _, master := range env.Nodes {
		env.addReplica(t, master, args)
	}
	env.AwaitCluster(t)
	for _, s := range env.Replicas {
		awaitReplica(t, s)
	}
	return env
}

// ProxiedCluster is Cluster with a proxy in front of each master. Clients connect to the proxies.
func ProxiedCluster(t testing.TB, args ...string) *Env {
	t.Helper()
	return newCluster(t, true, args)
}

func newCluster(t testing.TB, proxied bool, args []string) *Env {
	t.Helper()
	env := &Env{Name: "redis-cluster"}
	var addrs []string
	for range clusterMasters {
		_, busPort := freePort(t)
		nodeArgs := append([]string{
			"--cluster-enabled", "yes", "--cluster-port", busPort,
			"--cluster-node-timeout", strconv.FormatInt(clusterNodeTimeout.Milliseconds(), 10),
		}, args...)
		for i, arg := range nodeArgs {
			if arg == FreePort {
				_, nodeArgs[i] = freePort(t)
				env.OtherPorts = append(env.OtherPorts, nodeArgs[i])
			}
		}
		addr, port := freePort(t)
		if proxied {
			nodeArgs = append(nodeArgs, "--cluster-announce-port", port)
		}
		s := StartServer(t, nodeArgs...)
		s.busPort = busPort
		env.Nodes = append(env.Nodes, s)
		if proxied {
			env.Proxies = append(env.Proxies, newProxy(t, addr, s.Addr))
		} else {
			addr = s.Addr
		}
		addrs = append(addrs, addr)
	}
	env.URL = "redis://" + strings.Join(addrs, ",")
	joinNodes(t, env.Nodes, addrs)
	client := redis.NewClusterClient(&redis.ClusterOptions{Addrs: addrs, ReadTimeout: time.Second}) // a node may hang
	t.Cleanup(func() { _ = client.Close() })
	env.Client = client
	env.AwaitCluster(t)
	return env
}

// joinNodes distributes the slots and introduces the nodes to each other. Clients use addrs.
func joinNodes(t testing.TB, nodes []*Server, addrs []string) {
	t.Helper()
	for i, s := range nodes {
		first, last := i*clusterSlots/len(nodes), (i+1)*clusterSlots/len(nodes)-1
		s.Do(t, "CLUSTER", "ADDSLOTSRANGE", first, last)
		s.Do(t, "CLUSTER", "SET-CONFIG-EPOCH", i+1)
	}
	for i := 1; i < len(nodes); i++ {
		host, port, err := net.SplitHostPort(addrs[i])
		if err != nil {
			t.Fatal(err)
		}
		nodes[0].Do(t, "CLUSTER", "MEET", host, port, nodes[i].busPort)
	}
}

// AwaitCluster waits until every node says that the whole cluster works, and hears what the others publish.
func (e *Env) AwaitCluster(t testing.TB) {
	t.Helper()
	whole := []string{"cluster_state:ok", fmt.Sprintf("cluster_known_nodes:%d\r", len(e.Nodes)+len(e.Replicas)), fmt.Sprintf("cluster_slots_ok:%d\r", clusterSlots)}
	deadline := time.Now().Add(clusterReadyWithin)
	for _, s := range e.running() {
		for {
			info, _ := s.Do(t, "CLUSTER", "INFO").(string)
			missing := ""
			for _, line := range whole {
				if !strings.Contains(info, line) {
					missing = line
				}
			}
			if missing == "" {
				break
			}
			if time.Now().After(deadline) {
				t.Fatalf("the cluster is not ready: %s says\n%s", s.Addr, info)
			}
			time.Sleep(10 * time.Millisecond) // a cluster that comes up sends no event
		}
	}
	for _, s := range e.running() {
		e.awaitHearing(t, s, deadline)
	}
}

// awaitHearing waits until a node hears what every other one publishes. The links between nodes come up by and by, also
// where the state is ok, and Valkey hands nothing on before that.
func (e *Env) awaitHearing(t testing.TB, s *Server, deadline time.Time) {
	t.Helper()
	ctx, cancel := context.WithDeadline(context.Background(), deadline)
	defer cancel()
	c := redis.NewClient(&redis.Options{Addr: s.Addr, MaxRetries: -1})
	defer func() { _ = c.Close() }()
	heard := c.Subscribe(ctx, "whole:"+s.Addr)
	defer func() { _ = heard.Close() }()
	if _, err := heard.Receive(ctx); err != nil {
		t.Fatal(err)
	}
	for _, other := range e.running() {
		for m := (*redis.Message)(nil); m == nil || m.Payload != other.Addr; {
			other.Do(t, "PUBLISH", "whole:"+s.Addr, other.Addr)
			got, err := heard.ReceiveTimeout(ctx, 20*time.Millisecond)
			m, _ = got.(*redis.Message)
			if err != nil && ctx.Err() != nil {
				t.Fatalf("%s does not hear what %s publishes", s.Addr, other.Addr)
			}
		}
	}
}

// Owner is the master that has the slot of a key.
func (e *Env) Owner(t testing.TB, key string) *Server {
	t.Helper()
	switch {
	case len(e.Replicas) > 0:
		return e.master(t, key)
	case len(e.Nodes) == 0:
		return e.Server
	}
	slot, ok := e.Nodes[0].Do(t, "CLUSTER", "KEYSLOT", key).(int64)
	if !ok {
		t.Fatal("CLUSTER KEYSLOT gives no number")
	}
	for i, s := range e.Nodes {
		if int(slot) < (i+1)*clusterSlots/len(e.Nodes) {
			return s
		}
	}
	t.Fatalf("slot %d is nobody's", slot)
	return nil
}

// Flush empties every master.
func (e *Env) Flush(t testing.TB) {
	t.Helper()
	e.eachMaster(t, func(ctx context.Context, c *redis.Client) error { return c.FlushAll(ctx).Err() })
}

// Keys lists the keys of all masters that match a pattern.
func (e *Env) Keys(t testing.TB, pattern string) []string {
	t.Helper()
	var keys []string
	e.eachMaster(t, func(ctx context.Context, c *redis.Client) error {
		found, err := c.Keys(ctx, pattern).Result()
		keys = append(keys, found...)
		return err
	})
	return keys
}

// eachMaster runs do for every master in turn.
func (e *Env) eachMaster(t testing.TB, do func(context.Context, *redis.Client) error) {
	t.Helper()
	ctx := context.Background() // also in cleanups
	addrs := make([]string, 0, clusterMasters)
	for _, s := range e.running() {
		if len(e.Replicas) == 0 || s.isMaster() {
			addrs = append(addrs, s.Addr)
		}
	}
	if len(e.Sentinels) > 0 {
		addrs = []string{e.MasterBySentinel().Addr}
	}
	if len(addrs) == 0 {
		addrs = append(addrs, strings.TrimPrefix(e.URL, "redis://"))
	}
	for _, addr := range addrs {
		c := redis.NewClient(&redis.Options{Addr: addr, MaxRetries: -1})
		err := do(ctx, c)
		_ = c.Close()
		if err != nil {
			t.Fatalf("%s: %v", addr, err)
		}
	}
}
