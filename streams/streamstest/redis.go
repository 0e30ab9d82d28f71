// Package streamstest gives tests a Redis, real and in memory, faults, and a queue
// in memory that behaves like both.
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

// Env is one empty Redis.
type Env struct {
	Name   string
	URL    string
	Client redis.UniversalClient // for looking at keys and for raw producers
	Mini   *miniredis.Miniredis
	Server *Server
	// Nodes are the masters of a cluster, Replicas what takes over from them, Proxies what
	// stands before them.
	Nodes, Replicas []*Server
	Proxies         []*Proxy
	// Sentinels watch over Server, with Replicas.
	Sentinels []*Server
}

// Each runs a test on miniredis and on a real redis-server.
func Each(t *testing.T, test func(t *testing.T, env *Env)) {
	t.Helper()
	t.Run("miniredis", func(t *testing.T) { test(t, Mini(t)) })
	t.Run("redis-server", func(t *testing.T) { test(t, Real(t)) })
}

// EachAndCluster is Each, and a third run on a Redis Cluster.
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

// Real starts a redis-server that ends with the test. It skips the test where none is installed.
func Real(t testing.TB, args ...string) *Env {
	t.Helper()
	return started(t, newServer(t, args...))
}

// started is a server that runs until the test ends.
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
	// busPort is where the nodes of a cluster talk to each other.
	busPort string
	frozen  bool
	environ []string
	ahead   string // file by which its clock is set
}

// StartServer starts a redis-server on a free port of the loopback. Later args
// override the defaults, which keep nothing on disk.
func StartServer(t testing.TB, args ...string) *Server {
	t.Helper()
	s := newServer(t, args...)
	s.Start(t)
	t.Cleanup(s.Kill)
	return s
}

// newServer is one that has not started.
func newServer(t testing.TB, args ...string) *Server {
	t.Helper()
	if _, err := exec.LookPath("redis-server"); err != nil {
		if os.Getenv(RequireRedis) == "1" {
			t.Fatal("redis-server is not installed, and " + RequireRedis + "=1 requires it")
		}
		t.Skip("redis-server is not installed: this case ran on miniredis alone; install it to run it on the real one")
	}
	s := &Server{dir: t.TempDir(), args: args}
	s.Addr, _ = freePort(t)
	return s
}

// Start starts the server, again after Kill, and waits until it answers.
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

// Freeze stops the server as it stands: its connections stay open and nothing answers.
func (s *Server) Freeze(t testing.TB) { s.signal(t, syscall.SIGSTOP, true) }

// Thaw has it go on.
func (s *Server) Thaw(t testing.TB) { s.signal(t, syscall.SIGCONT, false) }

func (s *Server) signal(t testing.TB, what syscall.Signal, frozen bool) {
	t.Helper()
	if err := s.cmd.Process.Signal(what); err != nil {
		t.Fatal(err)
	}
	s.frozen = frozen
}

// answers reports whether the server was neither killed nor frozen.
func (s *Server) answers() bool { return s.cmd.ProcessState == nil && !s.frozen }

// Move gives a server that was killed another port.
func (s *Server) Move(t testing.TB) {
	t.Helper()
	s.Addr, _ = freePort(t)
}

// Do runs one command on this very server.
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

// freePort is an address of the loopback that nobody listens on, and its port, which is none
// that the kernel gives to clients: a server that was killed finds it free when it comes back.
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
	t.Fatal("no port of the loopback is free")
	return "", ""
}
