// Command bench measures medispatcher beside a bare HTTP client loop, in the same
// minutes on the same machine: only their ratio means something.
//
//	go run ./bench
//
// It needs redis-server. Everything it starts listens on the loopback and ends with it.
package main

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/streams"
)

type options struct {
	messages, subscribers, concurrency, size, rounds, rate int
	latencyFor                                             time.Duration
	dispatcher                                             string
}

func main() {
	if len(os.Args) > 1 && os.Args[1] == "receive" {
		receive()
		return
	}
	var o options
	flag.IntVar(&o.messages, "messages", 20_000, "messages")
	flag.IntVar(&o.subscribers, "subscribers", 3, "subscriptions of the one topic")
	flag.IntVar(&o.concurrency, "concurrency", 32, "requests in flight for each subscription")
	flag.IntVar(&o.size, "size", 256, "bytes of a body")
	flag.IntVar(&o.rounds, "rounds", 5, "repetitions; limit and dispatcher take turns")
	flag.IntVar(&o.rate, "rate", 500, "messages a second while latency is measured")
	flag.DurationVar(&o.latencyFor, "latency", 5*time.Second, "how long latency is measured; 0: not")
	flag.StringVar(&o.dispatcher, "dispatcher", "", "medispatcher binary; built when empty")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, o options) (err error) {
	dir, err := os.MkdirTemp("", "medis-bench")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if o.dispatcher == "" {
		o.dispatcher = filepath.Join(dir, "medispatcher")
		build := exec.CommandContext(ctx, "go", "build", "-o", o.dispatcher, "./cmd/medispatcher")
		if out, err := build.CombinedOutput(); err != nil {
			return fmt.Errorf("build: %w\n%s", err, out)
		}
	}
	var ratios, rates, limits []float64
	for round := range o.rounds {
		limit, err := measureLimit(ctx, o)
		if err != nil {
			return err
		}
		r, err := measureDispatcher(ctx, o, dir, false)
		if err != nil {
			return err
		}
		ratios, rates, limits = append(ratios, r.rate/limit.rate), append(rates, r.rate), append(limits, limit.rate)
		fmt.Printf("round %d  limit %6.0f/s (cpu %.2f + receiver %.2f s)   medispatcher %6.0f/s (cpu %.2f + redis %.2f + receiver %.2f s)   ratio %.2f\n",
			round+1, limit.rate, limit.cpu, limit.receiverCPU, r.rate, r.cpu, r.redisCPU, r.receiverCPU, r.rate/limit.rate)
	}
	fmt.Printf("median   limit %6.0f/s   medispatcher %6.0f/s   ratio %.2f (%.2f to %.2f)\n",
		median(limits), median(rates), median(ratios), slices.Min(ratios), slices.Max(ratios))
	if o.latencyFor > 0 {
		r, err := measureDispatcher(ctx, o, dir, true)
		if err != nil {
			return err
		}
		fmt.Printf("latency  at %d deliveries/s: p50 %.2f ms, p99 %.2f ms (publish to arrival)\n", o.rate*o.subscribers, r.p50, r.p99)
	}
	return nil
}

func median(v []float64) float64 {
	s := slices.Sorted(slices.Values(v))
	return s[len(s)/2]
}

type figures struct {
	rate, cpu, receiverCPU, redisCPU, p50, p99 float64
}

// measureDispatcher publishes everything to a running dispatcher and takes the time
// from the first XADD to the last arrival.
func measureDispatcher(ctx context.Context, o options, dir string, latency bool) (f figures, err error) {
	redisAddr := freeAddr()
	_, port, _ := net.SplitHostPort(redisAddr)
	data, err := os.MkdirTemp(dir, "redis")
	if err != nil {
		return f, err
	}
	redis, err := start(ctx, exec.CommandContext(ctx, "redis-server", "--port", port, "--bind", "127.0.0.1", "--save", "",
		"--appendonly", "yes", "--appendfsync", "everysec", "--dir", data), "Ready to accept connections")
	if err != nil {
		return f, err
	}
	defer func() { redis.stop() }()
	recv, err := startReceiver(ctx)
	if err != nil {
		return f, err
	}
	defer func() { recv.stop() }()
	store, err := streams.Open(streams.Config{URL: "redis://" + redisAddr, Prefix: "medis", Partitions: 1, ID: "bench"})
	if err != nil {
		return f, err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	registry := streams.NewRegistry(store, medispatcher.Rules{
		MaxConcurrency: 10_000, MaxRetryConcurrency: 100, MaxTimeout: time.Minute,
		Defaults: medispatcher.Subscription{
			RetryConcurrency: 2, Timeout: medispatcher.Duration(5 * time.Second), Encoding: "json",
			Drop: medispatcher.DropPolicy{Action: "keep"}, Alert: medispatcher.DefaultAlert(),
		},
	}, nil)
	for i := range o.subscribers {
		doc := fmt.Sprintf(`{"topic":"bench.one","urls":["http://%s/%d"],"concurrency":%d}`, recv.addr, i, o.concurrency)
		if _, _, _, err := registry.Put(ctx, fmt.Sprintf("s%d", i), []byte(doc), ""); err != nil {
			return f, err
		}
	}
	cmd := exec.CommandContext(ctx, o.dispatcher, "serve")
	cmd.Env = append(os.Environ(), "MEDIS_REDIS_URL=redis://"+redisAddr, "MEDIS_LISTEN=127.0.0.1:0", "MEDIS_LOG_FORMAT=json")
	disp, err := start(ctx, cmd, "subscriptions in force")
	if err != nil {
		return f, err
	}
	defer func() { disp.stop() }()

	total := o.messages
	began := time.Now()
	if latency {
		total = int(float64(o.rate) * o.latencyFor.Seconds())
		err = publishSlowly(ctx, store, o, total)
	} else {
		err = publishAll(ctx, store, o)
	}
	if err != nil {
		return f, err
	}
	stats, err := recv.wait(ctx, total*o.subscribers)
	if err != nil {
		return f, err
	}
	f.rate = float64(total*o.subscribers) / stats.Last.Sub(began).Seconds()
	f.p50, f.p99 = stats.P50, stats.P99
	f.cpu, f.receiverCPU, f.redisCPU = disp.stop(), recv.stop(), redis.stop()
	return f, nil
}

func publishAll(ctx context.Context, store *streams.Store, o options) error {
	batch := make([]medispatcher.Message, 0, 100)
	for i := range o.messages {
		batch = append(batch, medispatcher.Message{Topic: "bench.one", Body: body(o.size)})
		if len(batch) == cap(batch) || i == o.messages-1 {
			if _, err := store.PublishAll(ctx, batch); err != nil {
				return err
			}
			batch = batch[:0]
		}
	}
	return nil
}

func publishSlowly(ctx context.Context, store *streams.Store, o options, total int) error {
	tick := time.NewTicker(time.Second / time.Duration(o.rate))
	defer tick.Stop()
	for range total {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
		if _, err := store.Publish(ctx, medispatcher.Message{Topic: "bench.one", Body: body(o.size)}); err != nil {
			return err
		}
	}
	return nil
}

// body begins with the time it was made, which the receiver reads.
func body(size int) []byte {
	b := fmt.Appendf(make([]byte, 0, size), "%020d", time.Now().UnixNano())
	for len(b) < size {
		b = append(b, 'x')
	}
	return b
}

// process is a child that said it is ready.
type process struct {
	cmd *exec.Cmd
	cpu float64
}

// start starts a command and waits for a line of its output that holds a text.
func start(ctx context.Context, cmd *exec.Cmd, ready string) (*process, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	cmd.Stdout, cmd.Stderr = w, w
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	_ = w.Close()
	found := make(chan error, 1)
	go func() {
		defer func() { _ = r.Close() }()
		lines := bufio.NewScanner(r)
		var said []string
		seen := false
		for lines.Scan() {
			if !seen {
				said = append(said, lines.Text())
			}
			if !seen && strings.Contains(lines.Text(), ready) {
				seen = true
				found <- nil
			}
		}
		if !seen {
			found <- fmt.Errorf("%s ended:\n%s", cmd.Path, strings.Join(said, "\n"))
		}
	}()
	select {
	case err := <-found:
		return &process{cmd: cmd}, err
	case <-time.After(15 * time.Second):
		_ = cmd.Process.Kill()
		return nil, fmt.Errorf("%s did not get ready", cmd.Path)
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// stop ends the process and returns the CPU seconds it took.
func (p *process) stop() float64 {
	if p.cmd.ProcessState == nil {
		_ = p.cmd.Process.Signal(syscall.SIGTERM)
		_ = p.cmd.Wait()
		p.cpu = (p.cmd.ProcessState.UserTime() + p.cmd.ProcessState.SystemTime()).Seconds()
	}
	return p.cpu
}

func freeAddr() string {
	l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // closed at once
	if err != nil {
		panic(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}
