package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/bench/proc"
	"github.com/solate/medispatcher/streams"
)

// site is where one row is measured. All that it starts ends with the row.
type site struct {
	dir        string
	dispatcher string // path of the binary
	redis      *proc.Process
	addr       string // of Redis
	running    []*proc.Process
}

func (s *site) stop() {
	for _, p := range slices.Backward(s.running) {
		p.Stop()
	}
}

// startRedis starts an empty redis-server that writes to disk as people have it.
func (s *site) startRedis(ctx context.Context) error {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	s.addr = l.Addr().String()
	_, port, _ := net.SplitHostPort(s.addr)
	if err := l.Close(); err != nil {
		return err
	}
	data, err := os.MkdirTemp(s.dir, "redis")
	if err != nil {
		return err
	}
	s.redis, err = proc.Start(ctx, exec.CommandContext(ctx, "redis-server", "--port", port, "--bind", "127.0.0.1", "--save", "",
		"--appendonly", "yes", "--dir", data), "Ready to accept connections")
	if err == nil {
		s.running = append(s.running, s.redis)
	}
	return err
}

// command runs the binary against Redis at addr.
func (s *site) command(ctx context.Context, addr string, partitions int, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, s.dispatcher, args...)
	cmd.Env = slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "MEDIS_") })
	cmd.Env = append(cmd.Env, "MEDIS_REDIS_URL=redis://"+addr, "MEDIS_LISTEN=127.0.0.1:0", "MEDIS_LOG_FORMAT=json",
		"MEDIS_PARTITIONS="+strconv.Itoa(partitions))
	return cmd
}

// serve starts a dispatcher that uses Redis at addr, and waits until it has its subscriptions.
func (s *site) serve(ctx context.Context, addr string, partitions int) (*proc.Process, error) {
	p, err := proc.Start(ctx, s.command(ctx, addr, partitions, "serve"), "subscriptions in force")
	if err == nil {
		s.running = append(s.running, p)
	}
	return p, err
}

// open opens the store without the dispatcher.
func (s *site) open(partitions int) (*streams.Store, error) {
	return streams.Open(streams.Config{URL: "redis://" + s.addr, Prefix: "medis", Partitions: partitions, ID: "scale"})
}

func registryOf(store *streams.Store) *streams.Registry {
	return streams.NewRegistry(store, medispatcher.Rules{
		Defaults: medispatcher.DefaultSubscription(),
		Max:      medispatcher.Subscription{Concurrency: 10_000, RetryConcurrency: 100, Timeout: medispatcher.Duration(time.Minute)},
	}, nil)
}

// subscribe puts n subscriptions, named sub-0 and so on, each with a topic of its own: topic.0 and so on.
func (s *site) subscribe(ctx context.Context, store *streams.Store, n int, url string, concurrency int) error {
	puts := make([]medispatcher.SubscriptionPut, n)
	for i := range puts {
		doc, err := json.Marshal(map[string]any{"topic": fmt.Sprintf("topic.%d", i), "urls": []string{url}, "concurrency": concurrency})
		if err != nil {
			return err
		}
		puts[i] = medispatcher.SubscriptionPut{ID: fmt.Sprintf("sub-%d", i), Document: doc}
	}
	for _, done := range registryOf(store).PutAll(ctx, puts) {
		if done.Err != nil {
			return done.Err
		}
	}
	return nil
}

// commands is how many commands Redis has run, by its own count and by their names, those in scripts among them.
func (s *site) commands(ctx context.Context) (by map[string]int64, err error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", s.addr)
	if err != nil {
		return nil, err
	}
	defer func() { _ = conn.Close() }()
	if _, err := io.WriteString(conn, "INFO commandstats\r\n"); err != nil {
		return nil, err
	}
	by = map[string]int64{}
	lines := bufio.NewScanner(conn)
	for size, read := -1, 0; size < 0 || read < size; {
		if !lines.Scan() {
			return nil, fmt.Errorf("INFO commandstats: %w", lines.Err())
		}
		line := lines.Text()
		if size < 0 {
			if _, err := fmt.Sscanf(line, "$%d", &size); err != nil {
				return nil, fmt.Errorf("INFO commandstats: %q", line)
			}
			continue
		}
		read += len(line) + 2
		name, stats, _ := strings.Cut(strings.TrimPrefix(line, "cmdstat_"), ":calls=")
		calls, _, _ := strings.Cut(stats, ",")
		if n, err := strconv.ParseInt(calls, 10, 64); err == nil && name != "info" {
			by[name] = n
		}
	}
	return by, nil
}

// publish writes n messages for the subscription sub-0.
func (s *site) publish(ctx context.Context, n int) error {
	return s.write(ctx, n, func(int) int { return 0 }, nil)
}

// publishEach writes a message for each of n subscriptions.
func (s *site) publishEach(ctx context.Context, n int) error {
	return s.write(ctx, n, func(i int) int { return i }, nil)
}

// write publishes as any producer would, many messages in one round trip. of is the subscription that message i is for.
// key is the key of the message, one word; nil: none has one.
func (s *site) write(ctx context.Context, n int, of func(i int) int, key func(i int) string) error {
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", s.addr)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	var failed error
	done := make(chan struct{})
	go func() {
		defer close(done)
		answers := bufio.NewScanner(conn)
		for range n {
			for range 2 { // $<length>, and the id
				if !answers.Scan() || strings.HasPrefix(answers.Text(), "-") {
					failed = fmt.Errorf("XADD: %s %w", answers.Text(), answers.Err())
					return
				}
			}
		}
	}()
	body := strings.Repeat("x", 256)
	out := bufio.NewWriter(conn)
	for i := range n {
		more := ""
		if key != nil {
			more = " key " + key(i)
		}
		if _, err := fmt.Fprintf(out, "XADD medis:{0}:incoming * topic topic.%d body %s%s\r\n", of(i), body, more); err != nil {
			return err
		}
	}
	if err := out.Flush(); err != nil {
		return err
	}
	<-done
	return failed
}

// pause waits; it fails when ctx ended.
func pause(ctx context.Context, d time.Duration) error {
	if !medispatcher.Sleep(ctx, d) {
		return ctx.Err()
	}
	return nil
}
