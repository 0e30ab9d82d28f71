package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/bench/internal/proc"
	"github.com/solate/medispatcher/streams"
)

// site is where one row is measured. All that it starts ends with the row.
type site struct {
	dir        string
	dispatcher string // path of the binary
	redis      *proc.Process
	addr       string          // of Redis; of the masters of a cluster, separated by commas
	masters    []*proc.Process // of a cluster, or redis alone
	running    []*proc.Process
}

func (s *site) stop() {
	for _, p := range slices.Backward(s.running) {
		p.Stop()
	}
}

// startRedis starts an empty redis-server that writes to disk as people have it.
func (s *site) startRedis(ctx context.Context, args ...string) (err error) {
	s.redis, s.addr, err = s.startNode(ctx, args...)
	s.masters = []*proc.Process{s.redis}
	return err
}

func (s *site) startNode(ctx context.Context, args ...string) (p *proc.Process, addr string, err error) {
	p, addr, err = proc.StartRedis(ctx, s.dir, args...)
	if err == nil {
		s.running = append(s.running, p)
	}
	return p, addr, err
}

// startCluster starts an empty Redis Cluster of so many masters.
func (s *site) startCluster(ctx context.Context, masters int, args ...string) error {
	var addrs []string
	s.masters = nil
	for range masters {
		bus, err := proc.FreePort(ctx)
		if err != nil {
			return err
		}
		p, addr, err := s.startNode(ctx, append([]string{"--cluster-enabled", "yes", "--cluster-port", bus}, args...)...)
		if err != nil {
			return err
		}
		s.masters, addrs = append(s.masters, p), append(addrs, addr)
	}
	s.redis, s.addr = s.masters[0], strings.Join(addrs, ",")
	create := exec.CommandContext(ctx, "redis-cli", append([]string{"--cluster", "create", "--cluster-yes"}, addrs...)...)
	if out, err := create.CombinedOutput(); err != nil {
		return fmt.Errorf("redis-cli --cluster create: %w\n%s", err, out)
	}
	for _, addr := range addrs {
		if err := awaitCluster(ctx, addr); err != nil {
			return err
		}
	}
	return nil
}

// awaitCluster waits until a master says that the cluster works.
func awaitCluster(ctx context.Context, addr string) error {
	c := redis.NewClient(&redis.Options{Addr: addr})
	defer func() { _ = c.Close() }()
	info := ""
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); {
		var err error
		if info, err = c.ClusterInfo(ctx).Result(); err == nil && strings.Contains(info, "cluster_state:ok") {
			return nil
		}
		if err := pause(ctx, 50*time.Millisecond); err != nil {
			return err
		}
	}
	return fmt.Errorf("the cluster does not work; %s says:\n%s", addr, info)
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

// client returns a client of the row's Redis.
func (s *site) client() redis.UniversalClient {
	return redis.NewUniversalClient(&redis.UniversalOptions{Addrs: strings.Split(s.addr, ","), ReadTimeout: time.Minute, WriteTimeout: time.Minute})
}

// info is a section of the INFO of Redis, or of one master of a cluster, by name.
func (s *site) info(ctx context.Context, addr, section string) (map[string]string, error) {
	c := redis.NewClient(&redis.Options{Addr: addr})
	defer func() { _ = c.Close() }()
	text, err := c.Info(ctx, section).Result()
	if err != nil {
		return nil, err
	}
	values := map[string]string{}
	for line := range strings.Lines(text) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), ":"); ok {
			values[name] = value
		}
	}
	return values, nil
}

// commands is how many commands Redis has run, by its own count and by their names, those in scripts among them.
func (s *site) commands(ctx context.Context) (by map[string]int64, err error) {
	stats, err := s.info(ctx, s.addr, "commandstats")
	by = map[string]int64{}
	for name, stat := range stats {
		name = strings.TrimPrefix(name, "cmdstat_")
		calls, _, _ := strings.Cut(strings.TrimPrefix(stat, "calls="), ",")
		if n, err := strconv.ParseInt(calls, 10, 64); err == nil && name != "info" {
			by[name] = n
		}
	}
	return by, err
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
// key is the key of the message; nil: none has one.
func (s *site) write(ctx context.Context, n int, of func(i int) int, key func(i int) string) error {
	body := strings.Repeat("x", 256)
	return s.add(ctx, 1, n, len(body), func(i int) []any {
		values := []any{"topic", fmt.Sprintf("topic.%d", of(i)), "body", body}
		if key != nil {
			values = append(values, "key", key(i))
		}
		return values
	})
}

// publishBodies writes n messages of so many bytes for topic.0, spread over the partitions.
func (s *site) publishBodies(ctx context.Context, partitions, n, bytes int) error {
	values := []any{"topic", "topic.0", "body", strings.Repeat("x", bytes)}
	return s.add(ctx, partitions, n, bytes, func(int) []any { return values })
}

// add writes n entries to the incoming streams, about a megabyte in one round trip.
func (s *site) add(ctx context.Context, partitions, n, bytes int, values func(i int) []any) error {
	c := s.client()
	defer func() { _ = c.Close() }()
	pipe := c.Pipeline()
	for i := range n {
		pipe.XAdd(ctx, &redis.XAddArgs{Stream: fmt.Sprintf("medis:{%d}:incoming", i%partitions), Values: values(i)})
		if i == n-1 || pipe.Len() >= max(1, 1<<20/bytes) {
			if _, err := pipe.Exec(ctx); err != nil {
				return err
			}
		}
	}
	return nil
}

// pause waits; it fails when ctx ended.
func pause(ctx context.Context, d time.Duration) error {
	if !medispatcher.Sleep(ctx, d) {
		return ctx.Err()
	}
	return nil
}
