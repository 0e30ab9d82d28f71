package chaos_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/streams"
	"github.com/solate/medispatcher/streams/streamstest"
)

// binary is the dispatcher, built once.
var binary string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "medis-chaos")
	if err != nil {
		panic(err)
	}
	binary = filepath.Join(dir, "medispatcher")
	code := 1
	if out, err := exec.Command("go", "build", "-o", binary, "../cmd/medispatcher").CombinedOutput(); err != nil {
		fmt.Printf("build: %v\n%s", err, out)
	} else {
		code = m.Run()
	}
	_ = os.RemoveAll(dir)
	if code == 0 {
		if err := goleak.Find(); err != nil {
			fmt.Println(err)
			code = 1
		}
	}
	os.Exit(code)
}

// full reports whether the figures are wanted, rather than a short check.
func full() bool { return os.Getenv("MEDIS_CHAOS") == "full" }

// world is a Redis, three subscriptions, their worker, and what it got.
type world struct {
	t     *testing.T
	env   *streamstest.Env
	store *streams.Store
	sent  map[string]bool // ids of accepted messages

	mu   sync.Mutex
	got  map[string]int // subscription and id → deliveries
	last time.Time
	news chan struct{}
}

const subscribers = 3

// delay is how long the worker takes, concurrency how many requests it gets at once
// for each subscription.
func newWorld(t *testing.T, delay time.Duration, concurrency int, redisArgs ...string) *world {
	t.Helper()
	w := &world{t: t, env: streamstest.Real(t, redisArgs...), sent: map[string]bool{}, got: map[string]int{}, news: make(chan struct{}, 1)}
	worker := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		time.Sleep(delay) //nolint:forbidigo // a slow worker
		w.mu.Lock()
		defer w.mu.Unlock()
		w.got[r.Header.Get("medis-subscription")+" "+r.Header.Get("webhook-id")]++
		w.last = time.Now()
		select {
		case w.news <- struct{}{}:
		default:
		}
	}))
	t.Cleanup(worker.Close)
	w.store = w.env.Open(t, w.env.Config("producer"))
	registry := streams.NewRegistry(w.store, streamstest.Rules(), func(string, string) {})
	for i := range subscribers {
		doc := fmt.Sprintf(`{"topic":"t","urls":[%q],"concurrency":%d,"retry_concurrency":8,"retry_coefficient":"200ms"}`, worker.URL, concurrency)
		if _, _, _, err := registry.Put(t.Context(), fmt.Sprintf("s%d", i), []byte(doc), ""); err != nil {
			t.Fatal(err)
		}
	}
	return w
}

// publish publishes n messages with ids, and notes those that were accepted.
func (w *world) publish(n int) {
	w.t.Helper()
	batch := make([]medispatcher.Message, 0, 100)
	for i := range n {
		batch = append(batch, medispatcher.Message{ID: fmt.Sprintf("m%d", i), Topic: "t", Body: []byte(`{"n":1}`)})
		if len(batch) < cap(batch) && i < n-1 {
			continue
		}
		ids, err := w.store.PublishAll(w.t.Context(), batch)
		if err != nil {
			w.t.Fatal(err)
		}
		for _, id := range ids {
			w.sent[id] = true
		}
		batch = batch[:0]
	}
}

// dispatcher is a running process.
type dispatcher struct {
	cmd  *exec.Cmd
	done chan error
	logs *strings.Builder
	mu   sync.Mutex
}

// start starts a dispatcher and waits until it works.
func (w *world) start(env ...string) *dispatcher {
	w.t.Helper()
	d := &dispatcher{done: make(chan error, 1), logs: &strings.Builder{}}
	d.cmd = exec.Command(binary, "serve")
	d.cmd.Env = append(os.Environ(), append([]string{
		"MEDIS_REDIS_URL=" + w.env.URL, "MEDIS_LISTEN=127.0.0.1:0", "MEDIS_LOG_FORMAT=json",
	}, env...)...)
	d.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	errs, err := d.cmd.StderrPipe()
	if err != nil {
		w.t.Fatal(err)
	}
	if err := d.cmd.Start(); err != nil {
		w.t.Fatal(err)
	}
	running := make(chan struct{})
	go func() {
		lines := bufio.NewScanner(errs)
		for lines.Scan() {
			d.mu.Lock()
			d.logs.WriteString(lines.Text() + "\n")
			d.mu.Unlock()
			if strings.Contains(lines.Text(), "medispatcher runs") {
				close(running)
			}
		}
		d.done <- d.cmd.Wait()
	}()
	select {
	case <-running:
	case err := <-d.done:
		w.t.Fatalf("the dispatcher ended: %v\n%s", err, d.log())
	case <-time.After(20 * time.Second):
		w.t.Fatal("the dispatcher does not start")
	}
	w.t.Cleanup(d.kill)
	return d
}

func (d *dispatcher) log() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.logs.String()
}

// kill ends the process as a crash does.
func (d *dispatcher) kill() {
	_ = d.cmd.Process.Kill()
	<-d.done
	d.done <- nil // for the next one who waits
}

// stop ends the process as an operator does, and returns how it ended.
func (d *dispatcher) stop() error {
	_ = d.cmd.Process.Signal(syscall.SIGTERM)
	err := <-d.done
	d.done <- err
	return err
}

// await waits until so many deliveries, repeated ones not counted, came.
func (w *world) await(want int, within time.Duration) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), within)
	defer cancel()
	for {
		w.mu.Lock()
		n := len(w.got)
		w.mu.Unlock()
		if n >= want {
			return
		}
		select {
		case <-w.news:
		case <-ctx.Done():
			w.t.Errorf("%d of %d deliveries after %s", n, want, within)
			return
		}
	}
}

// count compares what was accepted with what came.
func (w *world) count() (lost, duplicates int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for id := range w.sent {
		for i := range subscribers {
			n := w.got[fmt.Sprintf("s%d %s", i, id)]
			if n == 0 {
				lost++
			} else {
				duplicates += n - 1
			}
		}
	}
	return lost, duplicates
}

// left describes what is still in Redis of any message; empty for nothing.
func (w *world) left() string {
	w.t.Helper()
	ids := []string{"s0", "s1", "s2"}
	channels, err := w.store.ChannelStatus(w.t.Context(), ids)
	if err != nil {
		return err.Error()
	}
	incoming, err := w.store.IncomingStatus(w.t.Context())
	if err != nil {
		return err.Error()
	}
	var left []string
	for _, c := range channels {
		if c.Ready+c.Buried+c.Retrying+c.Dead > 0 {
			left = append(left, fmt.Sprintf("%+v", c))
		}
	}
	if incoming.Ready+incoming.Buried+incoming.Quarantine > 0 {
		left = append(left, fmt.Sprintf("incoming %+v", incoming))
	}
	return strings.Join(left, ", ")
}

// settled waits until nothing is left in Redis.
func (w *world) settled() {
	w.t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) { //nolint:forbidigo // Redis sends no event for it
		left := w.left()
		if left == "" {
			return
		}
		if time.Now().After(deadline) {
			w.t.Errorf("left in Redis: %s", left)
			return
		}
	}
}
