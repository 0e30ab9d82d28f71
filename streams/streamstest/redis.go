// Package streamstest gives tests a Redis, real or in memory, its faults, and a queue in memory that
// behaves like the one in Redis. Only tests import it.
//
// It is not for other programs, and may change with every release; packages publish and verify are for them.
package streamstest

import (
	"context"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/streams"
)

// RequireRedis is the variable that, set to 1, makes a missing redis-server a failure instead of a skip.
const RequireRedis = "MEDIS_TEST_REQUIRE_REDIS"

// Env is one Redis, empty at the start of the test.
type Env struct {
	Name   string
	URL    string
	Client redis.UniversalClient // for looking at keys and for raw producers
	Mini   *miniredis.Miniredis
	Server *Server
	// Nodes are the masters of a cluster, Replicas the servers that take over from them, and Proxies
	// the proxies in front of them.
	Nodes, Replicas []*Server
	Proxies         []*Proxy
	OtherPorts      []string // of the nodes; see FreePort
	// Sentinels watch over Server, with Replicas.
	Sentinels []*Server
}

// Each runs a test on miniredis and on a real redis-server.
func Each(t *testing.T, test func(t *testing.T, env *Env)) {
	t.Helper()
	t.Run("miniredis", func(t *testing.T) { test(t, Mini(t)) })
	t.Run("redis-server", func(t *testing.T) { test(t, Real(t)) })
}

// EachAndCluster is Each with a third run, on a Redis Cluster.
func EachAndCluster(t *testing.T, test func(t *testing.T, env *Env)) {
	t.Helper()
	Each(t, test)
	t.Run("redis-cluster", func(t *testing.T) { test(t, Cluster(t)) })
}

// Mini starts a Redis in this process.
func Mini(t testing.TB) *Env {
	t.Helper()
	m := miniredis.NewMiniRedis()
	if err := m.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.Close)
	env := &Env{Name: "miniredis", URL: "redis://" + m.Addr(), Mini: m}
	env.connect(t)
	return env
}

// Real starts a redis-server that ends with the test. It skips the test if none is installed.
func Real(t testing.TB, args ...string) *Env {
	t.Helper()
	return started(t, newServer(t, args...))
}

// started starts a server that runs until the test ends.
func started(t testing.TB, s *Server) *Env {
	t.Helper()
	s.Start(t)
	t.Cleanup(s.Kill)
	env := &Env{Name: "redis-server", URL: "redis://" + s.Addr, Server: s}
	env.connect(t)
	return env
}

func (e *Env) connect(t testing.TB) {
	t.Helper()
	opt, err := redis.ParseURL(e.URL)
	if err != nil {
		t.Fatal(err)
	}
	e.Client = redis.NewClient(opt)
	t.Cleanup(func() { _ = e.Client.Close() })
}

// Config is a store configuration for this Redis.
func (e *Env) Config(id string) streams.Config {
	return streams.Config{URL: e.URL, Prefix: "medis", Partitions: 1, ID: id, DedupeWindow: time.Minute, Readers: 1}
}

// Open opens a store that closes with the test.
func (e *Env) Open(t testing.TB, cfg streams.Config) *streams.Store {
	t.Helper()
	s, err := streams.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// Rules are permissive rules with the defaults of the documentation.
func Rules() medispatcher.Rules {
	return medispatcher.Rules{
		Defaults: medispatcher.DefaultSubscription(), SecretOverlap: 24 * time.Hour,
		Max: medispatcher.Subscription{Concurrency: 1500, RetryConcurrency: 60, Timeout: medispatcher.Duration(30 * time.Second)},
	}
}

// Server is a redis-server process.
type Server struct {
	Addr string
	dir  string
	args []string
	conf string // of a sentinel
	cmd  *exec.Cmd
	// busPort is the port for traffic between the nodes of a cluster.
	busPort string
	frozen  bool
	environ []string
	ahead   string // file that sets its clock
}

// StartServer starts a redis-server on a free port of the loopback. By default it keeps nothing on
// disk. args override the defaults.
func StartServer(t testing.TB, args ...string) *Server {
	t.Helper()
	s := newServer(t, args...)
	s.Start(t)
	t.Cleanup(s.Kill)
	return s
}

// newServer makes a Server that is not started yet.
func newServer(t testing.TB, args ...string) *Server {
	t.Helper()
	if _, err := exec.LookPath("redis-server"); err != nil {
		if os.Getenv(RequireRedis) == "1" {
			t.Fatal("redis-server is not installed, and " + RequireRedis + "=1 requires it")
		}
		t.Skip("redis-server is not installed: this case ran only on miniredis; install redis-server to run it there too")
	}
	s := &Server{dir: t.TempDir(), args: args}
	s.Addr, _ = freePort(t)
	return s
}

// Start starts the server and waits until it answers. It may be called again after Kill.
func (s *Server) Start(t testing.TB) {
	t.Helper()
	_, port, err := net.SplitHostPort(s.Addr)
	if err != nil {
		t.Fatal(err)
	}
	args := []string{s.conf, "--sentinel"}
	if s.conf == "" {
		args = append([]string{
			"--port", port, "--bind", "127.0.0.1", "--dir", s.dir, "--save", "", "--appendonly", "no",
			"--logfile", filepath.Join(s.dir, "redis.log"),
		}, s.args...)
	}
	s.cmd = exec.Command("redis-server", args...) //nolint:noctx // ended by Kill
	s.cmd.Env = append(os.Environ(), s.environ...)
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	c := redis.NewClient(&redis.Options{Addr: s.Addr, MaxRetries: -1})
	defer func() { _ = c.Close() }()
	deadline := time.Now().Add(10 * time.Second)
	for c.Ping(context.Background()).Err() != nil {
		if time.Now().After(deadline) {
			log, _ := os.ReadFile(filepath.Join(s.dir, "redis.log"))
			t.Fatalf("redis-server does not answer on %s:\n%s", s.Addr, log)
		}
		time.Sleep(5 * time.Millisecond) // a process that is starting sends no event
	}
}

// Kill ends the server at once.
func (s *Server) Kill() {
	if s.cmd.Process != nil {
		_ = s.cmd.Process.Kill()
		_ = s.cmd.Wait()
		s.frozen = false
	}
}

// Freeze suspends the process: its connections stay open, but it does not answer.
func (s *Server) Freeze(t testing.TB) { s.signal(t, syscall.SIGSTOP, true) }

// Thaw resumes the process after Freeze.
func (s *Server) Thaw(t testing.TB) { s.signal(t, syscall.SIGCONT, false) }

func (s *Server) signal(t testing.TB, what syscall.Signal, frozen bool) {
	t.Helper()
	if err := s.cmd.Process.Signal(what); err != nil {
		t.Fatal(err)
	}
	s.frozen = frozen
}

// answers reports whether the server runs: it was neither killed nor frozen.
func (s *Server) answers() bool { return s.cmd.ProcessState == nil && !s.frozen }

// Move gives a killed server another port.
func (s *Server) Move(t testing.TB) {
	t.Helper()
	s.Addr, _ = freePort(t)
}

// Do runs one command on this server.
func (s *Server) Do(t testing.TB, args ...any) any {
	t.Helper()
	c := redis.NewClient(&redis.Options{Addr: s.Addr, MaxRetries: -1})
	defer func() { _ = c.Close() }()
	answer, err := c.Do(context.Background(), args...).Result()
	if err != nil {
		t.Fatalf("%v: %v", args, err)
	}
	return answer
}

// freePort finds an address of the loopback on which no process listens, and its port. The port is
// outside the range that the kernel gives to clients, so it is still free when a killed server
// starts again.
func freePort(t testing.TB) (addr, port string) {
	t.Helper()
	for range 100 {
		port = strconv.Itoa(10_000 + rand.IntN(20_000))
		addr = net.JoinHostPort("127.0.0.1", port)
		l, err := net.Listen("tcp", addr) //nolint:noctx // closed at once
		if err == nil {
			_ = l.Close()
			return addr, port
		}
	}
	t.Fatal("found no free port of the loopback")
	return "", ""
}
