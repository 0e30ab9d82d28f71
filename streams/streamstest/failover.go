package streamstest

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// addReplica starts a node that copies a master of a cluster.
func (e *Env) addReplica(t testing.TB, master *Server, args []string) {
	t.Helper()
	_, busPort := freePort(t)
	s := StartServer(t, append([]string{
		"--cluster-enabled", "yes", "--cluster-port", busPort, "--cluster-node-timeout", "1000",
		"--cluster-replica-validity-factor", "0",
	}, args...)...)
	s.busPort = busPort
	host, port, err := net.SplitHostPort(s.Addr)
	if err != nil {
		t.Fatal(err)
	}
	master.Do(t, "CLUSTER", "MEET", host, port, busPort)
	e.Replicas = append(e.Replicas, s)
	id, _ := master.Do(t, "CLUSTER", "MYID").(string)
	await(t, s.Addr+" knows its master", func() bool { return s.try("CLUSTER", "REPLICATE", id) != nil })
}

// try runs a command that may fail; nil is a failure.
func (s *Server) try(args ...any) any {
	c := redis.NewClient(&redis.Options{Addr: s.Addr, MaxRetries: -1})
	defer func() { _ = c.Close() }()
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	answer, err := c.Do(ctx, args...).Result()
	if err != nil {
		return nil
	}
	return answer
}

// says reports whether a section of INFO holds a line.
func (s *Server) says(section, line string) bool {
	text, _ := s.try("INFO", section).(string)
	return strings.Contains(text, line+"\r\n")
}

func (s *Server) isMaster() bool { return s.says("replication", "role:master") }

// AwaitReplica waits until a replica is in sync with its master.
func (e *Env) AwaitReplica(t testing.TB, s *Server) {
	t.Helper()
	awaitReplica(t, s)
}

func awaitReplica(t testing.TB, s *Server) {
	t.Helper()
	await(t, s.Addr+" copies its master", func() bool { return s.says("replication", "master_link_status:up") })
}

// await polls for a condition that sends no event.
func await(t testing.TB, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(clusterReadyWithin); !holds(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("not in time: " + what)
		}
	}
}

// All are the nodes of a cluster.
func (e *Env) All() []*Server { return append(append([]*Server{}, e.Nodes...), e.Replicas...) }

// running are the nodes that were neither killed nor frozen.
func (e *Env) running() []*Server {
	var list []*Server
	for _, s := range e.All() {
		if s.answers() {
			list = append(list, s)
		}
	}
	return list
}

// master is the node that has the slot of a key now. All running nodes must agree.
func (e *Env) master(t testing.TB, key string) *Server {
	t.Helper()
	var found *Server
	await(t, key+" has a master", func() bool {
		found = nil
		for _, s := range e.running() {
			owner := e.masterBy(s, key)
			if owner == nil || found != nil && owner != found {
				return false
			}
			found = owner
		}
		return found != nil
	})
	return found
}

// masterBy is the master of a key as one node sees it.
func (e *Env) masterBy(s *Server, key string) *Server {
	slot, _ := s.try("CLUSTER", "KEYSLOT", key).(int64)
	c := redis.NewClient(&redis.Options{Addr: s.Addr, MaxRetries: -1})
	defer func() { _ = c.Close() }()
	slots, err := c.ClusterSlots(context.Background()).Result() //nolint:staticcheck // Redis 6.2 lacks CLUSTER SHARDS
	if err != nil {
		return nil
	}
	for _, r := range slots {
		if int(slot) < r.Start || int(slot) > r.End || len(r.Nodes) == 0 {
			continue
		}
		for _, node := range e.All() {
			if node.Addr == r.Nodes[0].Addr {
				return node
			}
		}
	}
	return nil
}

// Whole reports whether every running node says that the cluster works, and that a node other than
// lost has the key. lost may be nil.
func (e *Env) Whole(lost *Server, key string) bool {
	for _, s := range e.running() {
		info, _ := s.try("CLUSTER", "INFO").(string)
		if !strings.Contains(info, "cluster_state:ok\r\n") {
			return false
		}
		if owner := e.masterBy(s, key); owner == nil || owner == lost {
			return false
		}
	}
	return true
}

const (
	sentinelName   = "mine"
	sentinelQuorum = 2
)

// Sentinel starts a master, a replica and three sentinels that watch them. It skips the test if no
// redis-server is installed.
func Sentinel(t testing.TB, args ...string) *Env {
	t.Helper()
	env := &Env{Name: "redis-sentinel", Server: StartServer(t, args...)}
	host, port, err := net.SplitHostPort(env.Server.Addr)
	if err != nil {
		t.Fatal(err)
	}
	replica := StartServer(t, append([]string{"--replicaof", host + " " + port, "--repl-diskless-sync-delay", "0"}, args...)...)
	env.Replicas = []*Server{replica}
	awaitReplica(t, replica)
	var addrs []string
	for range 3 {
		s := startSentinel(t, host, port)
		env.Sentinels = append(env.Sentinels, s)
		addrs = append(addrs, s.Addr)
	}
	for _, s := range env.Sentinels {
		await(t, s.Addr+" knows the others", func() bool {
			return s.says("sentinel", "master0:name="+sentinelName+",status=ok,address="+env.Server.Addr+",slaves=1,sentinels=3")
		})
	}
	env.URL = "redis://" + strings.Join(addrs, ",") + "?master_name=" + sentinelName
	client := redis.NewFailoverClient(&redis.FailoverOptions{MasterName: sentinelName, SentinelAddrs: addrs})
	t.Cleanup(func() { _ = client.Close() })
	env.Client = client
	return env
}

func startSentinel(t testing.TB, host, port string) *Server {
	t.Helper()
	dir := t.TempDir()
	addr, own := freePort(t)
	conf := strings.Join([]string{
		"port " + own, "bind 127.0.0.1", "dir " + dir, "logfile " + filepath.Join(dir, "sentinel.log"),
		"sentinel monitor " + sentinelName + " " + host + " " + port + " " + strconv.Itoa(sentinelQuorum),
		"sentinel down-after-milliseconds " + sentinelName + " 1000",
		"sentinel failover-timeout " + sentinelName + " 5000", "",
	}, "\n")
	file := filepath.Join(dir, "sentinel.conf")
	if err := os.WriteFile(file, []byte(conf), 0o600); err != nil {
		t.Fatal(err)
	}
	s := &Server{Addr: addr, dir: dir, conf: file}
	s.Start(t)
	t.Cleanup(s.Kill)
	return s
}

// MasterBySentinel is the server that is a master, and that all sentinels call the master; nil if there is none.
func (e *Env) MasterBySentinel() *Server {
	for _, s := range append([]*Server{e.Server}, e.Replicas...) {
		agreed := s.answers() && s.isMaster()
		for _, sentinel := range e.Sentinels {
			agreed = agreed && (!sentinel.answers() || sentinel.names(s.Addr))
		}
		if agreed {
			return s
		}
	}
	return nil
}

func (s *Server) names(addr string) bool {
	got, _ := s.try("SENTINEL", "GET-MASTER-ADDR-BY-NAME", sentinelName).([]any)
	host, port, _ := net.SplitHostPort(addr)
	return len(got) == 2 && got[0] == host && got[1] == port
}
