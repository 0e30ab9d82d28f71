package streams_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/streams"
	"github.com/solate/medispatcher/streams/streamstest"
)

// layouts are the fields of a copy with 256 bytes of body, in either layout.
var layouts = map[string][]any{
	"fields": {"time", "1700000000000", "topic", "order.created", "body", strings.Repeat("x", 256), "~src", "1700000000000-0"},
	"whole":  {"m", "topic order.created\nsrc 1700000000000-0\n\n" + strings.Repeat("x", 256)},
}

// BenchmarkRead reads new messages on a real redis-server.
//
//	go test ./streams -run XXX -bench '^Benchmark(Read|Due|Retry)'
func BenchmarkRead(b *testing.B) {
	for _, c := range []struct{ channels, each int }{{1, 128}, {64, 2}, {64, 0}} {
		for layout := range layouts {
			b.Run(fmt.Sprintf("%d×%d/%s", c.channels, c.each, layout), func(b *testing.B) {
				env := newDeliveriesBench(b, c.channels)
				each := c.each
				b.ReportAllocs()
				for b.Loop() {
					b.StopTimer()
					env.fill(b, each, layouts[layout])
					b.StartTimer()
					env.read(b, each)
				}
				env.report(b, max(1, c.channels*c.each))
			})
		}
	}
}

// BenchmarkDue takes messages whose next attempt is due.
func BenchmarkDue(b *testing.B) {
	for layout := range layouts {
		b.Run(layout, func(b *testing.B) {
			env := newDeliveriesBench(b, 1)
			b.ReportAllocs()
			for b.Loop() {
				b.StopTimer()
				env.fill(b, 128, layouts[layout])
				env.retry(b, env.read(b, 128))
				b.StartTimer()
				due, _, err := env.store.Due(env.ctx, 0, env.wants(128))
				if err != nil || len(due) != 128 {
					b.Fatal(len(due), err)
				}
			}
			env.report(b, 128)
		})
	}
}

// BenchmarkRetry settles attempts that failed.
func BenchmarkRetry(b *testing.B) {
	env := newDeliveriesBench(b, 1)
	b.ReportAllocs()
	for b.Loop() {
		b.StopTimer()
		env.fill(b, 128, layouts["fields"])
		list := env.read(b, 128)
		b.StartTimer()
		env.retry(b, list)
	}
	env.report(b, 128)
}

type deliveriesBench struct {
	*streamstest.Env
	ctx      context.Context // of the benchmark
	store    *streams.Store
	channels []medispatcher.Channel
}

func newDeliveriesBench(b *testing.B, channels int) *deliveriesBench {
	env := &deliveriesBench{Env: streamstest.Real(b), ctx: b.Context()}
	env.store = env.Open(b, env.Config("me"))
	for i := range channels {
		env.channels = append(env.channels, medispatcher.Channel{Subscription: fmt.Sprintf("s%02d", i)})
	}
	env.fill(b, 1, layouts["fields"])
	if _, err := env.store.Read(env.ctx, env.wants(1)); !errors.Is(err, medispatcher.ErrGroupCreated) {
		b.Fatal(err)
	}
	return env
}

func (env *deliveriesBench) wants(most int) (wants []medispatcher.Want) {
	for _, c := range env.channels {
		wants = append(wants, medispatcher.Want{Channel: c, Max: most})
	}
	return wants
}

// fill puts copies into every channel, and nothing else is in it.
func (env *deliveriesBench) fill(b *testing.B, each int, fields []any) {
	pipe := env.Client.Pipeline()
	for _, c := range env.channels {
		stream := "medis:{0}:ch:" + c.Subscription
		pipe.XTrimMaxLen(env.ctx, stream, 0)
		for range each {
			pipe.XAdd(env.ctx, &redis.XAddArgs{Stream: stream, Values: fields})
		}
	}
	if _, err := pipe.Exec(env.ctx); err != nil {
		b.Fatal(err)
	}
}

func (env *deliveriesBench) read(b *testing.B, each int) []medispatcher.Delivery {
	list, err := env.store.Read(env.ctx, env.wants(max(1, each)))
	if err != nil || len(list) != each*len(env.channels) {
		b.Fatal(len(list), err)
	}
	return list
}

func (env *deliveriesBench) retry(b *testing.B, list []medispatcher.Delivery) {
	failed := make([]medispatcher.Settlement, len(list))
	for i, d := range list {
		failed[i] = medispatcher.Settlement{
			Channel: d.Channel, EntryID: d.EntryID, Outcome: medispatcher.Failed, Attempt: d.Attempt,
			Failure: &medispatcher.Failure{Attempts: 1, FirstError: "status 500", LastError: "status 500"},
		}
	}
	if err := env.store.Retry(env.ctx, 0, failed); err != nil {
		b.Fatal(err)
	}
}

func (env *deliveriesBench) report(b *testing.B, messages int) {
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*messages), "ns/message")
	env.Server.Kill()
}
