// Command bench compares medispatcher with a bare HTTP client loop. Both run in turn, in
// the same minutes on the same machine. Only the ratio of the two is meaningful.
//
//	go run ./bench
//
// It needs redis-server. Everything it starts listens on the loopback interface and ends with it.
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
	"github.com/solate/medispatcher/cmd/medispatcher/loadtest"
	"github.com/solate/medispatcher/streams"
)

type options struct {
	messages, subscribers, concurrency, size, rounds, rate int
	latencyFor                                             time.Duration
	dispatcher                                             string
}

func main() {
	if len(os.Args) == 4 && os.Args[1] == "receive" {
		exitOn(receive(os.Args[2], os.Args[3]))
		return
	}
	var o options
	flag.IntVar(&o.messages, "messages", 20_000, "number of messages in each round")
	flag.IntVar(&o.subscribers, "subscribers", 3, "number of subscriptions; each gets every message")
	flag.IntVar(&o.concurrency, "concurrency", 32, "requests in flight for each subscription")
	flag.IntVar(&o.size, "size", 256, "size of a message body in bytes")
	flag.IntVar(&o.rounds, "rounds", 5, "number of rounds; each measures the limit, then the dispatcher")
	flag.IntVar(&o.rate, "rate", 500, "messages per second while latency is measured")
	flag.DurationVar(&o.latencyFor, "latency", 5*time.Second, "how long to measure latency; 0 turns it off")
	flag.StringVar(&o.dispatcher, "dispatcher", "", "path of the medispatcher binary; built if empty")
	flag.Parse()
	if o.size < loadtest.MinBody {
		fmt.Fprintf(os.Stderr, "bench: -size %d: must be %d or more\n", o.size, loadtest.MinBody)
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	exitOn(run(ctx, o))
}

func exitOn(err error) {
	if err != nil {
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
			return fmt.Errorf("build medispatcher: %w\n%s", err, out)
		}
	}
	var ratios, rates, limits []float64
	for round := range o.rounds {
		limit, err := measureLimit(ctx, o)
		if err != nil {
			return err
		}
		r, err := measureDispatcher(ctx, o, dir, o.plan())
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
		slow := o.plan()
		slow.Rate, slow.Messages = o.rate, int(float64(o.rate)*o.latencyFor.Seconds())
		r, err := measureDispatcher(ctx, o, dir, slow)
		if err != nil {
			return err
		}
		fmt.Printf("latency  at %d deliveries/s: p50 %.2f ms, p99 %.2f ms (publish to arrival)\n", o.rate*o.subscribers, r.p50, r.p99)
	}
	return nil
}

// plan is the load of a round. It is published as fast as possible.
func (o options) plan() loadtest.Plan {
	return loadtest.Plan{Messages: o.messages, Subscribers: o.subscribers, Concurrency: o.concurrency, Size: o.size, Wait: 15 * time.Second}
}

func median(v []float64) float64 {
	s := slices.Sorted(slices.Values(v))
	return s[len(s)/2]
}

type figures struct {
	rate, cpu, receiverCPU, redisCPU, p50, p99 float64
}

// measureDispatcher starts Redis, a receiver and a dispatcher, publishes everything, and
// measures the time from the first XADD to the last arrival.
func measureDispatcher(ctx context.Context, o options, dir string, p loadtest.Plan) (f figures, err error) {
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
	l := load{Plan: p, Run: p.NewRun(), Began: time.Now()}
	recv, err := startReceiver(ctx, l)
	if err != nil {
		return f, err
	}
	defer func() { recv.stop() }()
	store, err := streams.Open(streams.Config{URL: "redis://" + redisAddr, Prefix: "medis", Partitions: 1, ID: "bench"})
	if err != nil {
		return f, err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	rules := medispatcher.Rules{
		Defaults: medispatcher.DefaultSubscription(),
		Max:      medispatcher.Subscription{Concurrency: 10_000, RetryConcurrency: 100, Timeout: medispatcher.Duration(time.Minute)},
	}
	if err := loadtest.Subscribe(ctx, streams.NewRegistry(store, rules, nil), rules, l.Run, l.Plan, recv.url); err != nil {
		return f, err
	}
	cmd := exec.CommandContext(ctx, o.dispatcher, "serve")
	cmd.Env = append(os.Environ(), "MEDIS_REDIS_URL=redis://"+redisAddr, "MEDIS_LISTEN=127.0.0.1:0", "MEDIS_LOG_FORMAT=json")
	disp, err := start(ctx, cmd, "subscriptions in force")
	if err != nil {
		return f, err
	}
	defer func() { disp.stop() }()

	began := time.Since(l.Began)
	publisher := loadtest.Publisher{Plan: l.Plan, Run: l.Run, Store: store, Began: l.Began}
	if err := publisher.Publish(ctx); err != nil {
		return f, err
	}
	total := l.Plan.Messages * l.Plan.Subscribers
	got, err := recv.wait(ctx, int64(total))
	if err != nil {
		return f, err
	}
	f.rate = float64(total) / (got.Last - began).Seconds()
	f.p50, f.p99 = got.Latency.P50, got.Latency.P99
	f.cpu, f.receiverCPU, f.redisCPU = disp.stop(), recv.stop(), redis.stop()
	return f, nil
}

// process is a child process that has reported that it is ready.
type process struct {
	cmd *exec.Cmd
	cpu float64
}

// start starts a command and waits until its output has a line that contains ready.
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
			found <- fmt.Errorf("%s ended before it was ready:\n%s", cmd.Path, strings.Join(said, "\n"))
		}
	}()
	select {
	case err := <-found:
		return &process{cmd: cmd}, err
	case <-time.After(15 * time.Second):
		_ = cmd.Process.Kill()
		return nil, fmt.Errorf("%s was not ready after 15 s", cmd.Path)
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// stop ends the process and returns its CPU time in seconds. A second call returns the same.
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
