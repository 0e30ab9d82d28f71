package streams_test

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/streams"
	"github.com/solate/medispatcher/streams/internal/rdb"
	"github.com/solate/medispatcher/streams/streamstest"
)

// sharing is a hook that tells how many streams each blocked read names, and may lose the answer of one that names several.
type sharing struct {
	reads   chan int
	refused chan struct{} // a read that names several was answered with an error
	mu      sync.Mutex
	lose    bool
}

func (s *sharing) DialHook(next redis.DialHook) redis.DialHook {
	return func(ctx context.Context, network, addr string) (net.Conn, error) { return next(ctx, network, addr) }
}

func (s *sharing) ProcessHook(next redis.ProcessHook) redis.ProcessHook { return next }

func (s *sharing) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		streams := 0
		for _, c := range cmds {
			if args := c.Args(); c.Name() == "xreadgroup" {
				for _, a := range args {
					if a == ">" {
						streams++
					}
				}
			}
		}
		if streams > 0 {
			select {
			case s.reads <- streams:
			default:
			}
		}
		err := next(ctx, cmds)
		if streams < 2 {
			return err
		}
		if rdb.IsAnswer(cmds[0].Err()) && !rdb.IsNil(cmds[0].Err()) {
			select {
			case s.refused <- struct{}{}:
			default:
			}
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		if !s.lose {
			return err
		}
		s.lose = false
		for _, c := range cmds {
			c.SetErr(streamstest.ErrInjected)
		}
		return streamstest.ErrInjected
	}
}

// await waits until a read begins that names so many streams.
func (s *sharing) await(t *testing.T, streams int) {
	t.Helper()
	for n := range s.reads {
		if n == streams {
			return
		}
	}
}

const sharingPartitions = 5

// startSharing runs a worker for each partition. What it moves is told.
func startSharing(t *testing.T, env *streamstest.Env) (told chan string, s *sharing) {
	cfg := env.Config("me")
	cfg.Partitions, cfg.Readers = sharingPartitions, 1
	store := env.Open(t, cfg)
	s = &sharing{reads: make(chan int, 1000), refused: make(chan struct{}, 1)}
	store.DB().AddHook(s)
	told = make(chan string, 100)
	registry := streams.NewRegistry(store, streamstest.Rules(), func(string, string) {})
	ctx, cancel := context.WithCancel(t.Context())
	var ended sync.WaitGroup
	for p := range sharingPartitions {
		w := &streams.FanoutWorker{
			Store: store, Registry: registry, Partition: p, MaxBody: 100, Log: slog.New(slog.DiscardHandler),
			Events: streams.FanoutEvents{Unroutable: func(p int, _ streams.Entry, m medispatcher.Message) { told <- fmt.Sprint(p, " ", string(m.Body)) }},
		}
		ended.Go(func() { check(t, w.Run(ctx)) })
	}
	t.Cleanup(func() {
		cancel()
		ended.Wait()
	})
	return told, s
}

func publishTo(t *testing.T, env *streamstest.Env, p int, body string) {
	t.Helper()
	check(t, env.Client.XAdd(t.Context(), &redis.XAddArgs{Stream: fmt.Sprintf("medis:{%d}:incoming", p), Values: []any{"topic", "nobody", "body", body}}).Err())
}

// TestIdlePartitionsShareARead: partitions without messages wait for them in one read, and each message ends up where it belongs.
func TestIdlePartitionsShareARead(t *testing.T) {
	t.Parallel()
	streamstest.Each(t, func(t *testing.T, env *streamstest.Env) {
		told, s := startSharing(t, env)
		for round := range 2 {
			s.await(t, sharingPartitions)
			want := map[string]bool{}
			for p := range sharingPartitions {
				for i := range 3 {
					body := fmt.Sprint(round, "-", i)
					publishTo(t, env, p, body)
					want[fmt.Sprint(p, " ", body)] = true
				}
			}
			for range len(want) {
				if got := <-told; !want[got] {
					t.Errorf("moved %s, which is not expected", got)
				} else {
					delete(want, got)
				}
			}
		}
	})
}

// TestSharedReadIsLost: what the read brought is moved, although nobody heard of it.
func TestSharedReadIsLost(t *testing.T) {
	t.Parallel()
	streamstest.Each(t, func(t *testing.T, env *streamstest.Env) {
		told, s := startSharing(t, env)
		s.await(t, sharingPartitions)
		s.mu.Lock()
		s.lose = true
		s.mu.Unlock()
		publishTo(t, env, 3, "x")
		if got := <-told; got != "3 x" {
			t.Errorf("moved %s", got)
		}
	})
}

// TestSharedReadOfAWrongType: one stream that is none does not keep the others from being read.
func TestSharedReadOfAWrongType(t *testing.T) {
	t.Parallel()
	streamstest.Each(t, func(t *testing.T, env *streamstest.Env) {
		check(t, env.Client.Set(t.Context(), "medis:{2}:incoming", "not a stream", 0).Err())
		told, s := startSharing(t, env)
		s.await(t, sharingPartitions-1) // the worker of the fifth is never idle
		check(t, env.Client.Del(t.Context(), "medis:{3}:incoming").Err())
		check(t, env.Client.Set(t.Context(), "medis:{3}:incoming", "nor is this", 0).Err())
		<-s.refused // only then: miniredis reads the streams before the wrong one, and returns an error; Redis reads nothing
		for _, p := range []int{0, 1, 4} {
			publishTo(t, env, p, "x")
			if got := <-told; got != fmt.Sprint(p, " x") {
				t.Errorf("moved %s", got)
			}
		}
		for _, p := range []int{2, 3} {
			check(t, env.Client.Del(t.Context(), fmt.Sprintf("medis:{%d}:incoming", p)).Err())
			publishTo(t, env, p, "y")
			if got := <-told; got != fmt.Sprint(p, " y") {
				t.Errorf("moved %s", got)
			}
		}
	})
}
