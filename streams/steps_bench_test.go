package streams_test

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/streams"
	"github.com/solate/medispatcher/streams/streamstest"
)

// The benchmarks of single steps run on a real redis-server that keeps a log (appendonly, everysec), and
// report the CPU time that Redis spent.
//
//	go test ./streams -run XXX -bench 'Step' -benchtime 200x

var benchSubs = []string{"s1", "s2", "s3"}

// BenchmarkFanoutStep is one step of the fan-out: 128 entries of 256 bytes to three channels, in both layouts of
// a copy. It reports also the memory of a copy.
func BenchmarkFanoutStep(b *testing.B) {
	for _, layout := range []int{1, 2} {
		b.Run(fmt.Sprint("layout", layout), func(b *testing.B) { benchFanoutStep(b, layout) })
	}
}

func benchFanoutStep(b *testing.B, layout int) {
	sc := newSteps(b)
	sc.store.WriteLayout(layout)
	batches := make([][]streams.Routing, b.N)
	for i := range batches {
		batches[i] = sc.incoming(b, 128)
	}
	sc.measure(b, 128, func() {
		for _, batch := range batches {
			routed, err := sc.store.Fanout(sc.ctx, 0, batch)
			if err != nil || routed[127].Result != streams.RoutedCopied {
				b.Fatal(routed, err)
			}
		}
	})
	for _, sub := range benchSubs {
		if n := sc.Client.XLen(sc.ctx, "medis:{0}:ch:"+sub).Val(); n != int64(128*b.N) {
			b.Fatalf("%d copies", n)
		}
	}
	size := sc.Client.MemoryUsage(sc.ctx, "medis:{0}:ch:s1", 0).Val()
	b.ReportMetric(float64(size)/float64(128*b.N), "B/copy")
}

// BenchmarkOrderedStep is one step of the fan-out with 128 entries to one channel, without order and in order. Keys that are
// new go into the channel, others wait.
func BenchmarkOrderedStep(b *testing.B) {
	for _, c := range []struct {
		name    string
		ordered bool
		keys    int
	}{{"without order", false, 1000}, {"new keys", true, 1 << 40}, {"known keys", true, 1000}} {
		b.Run(c.name, func(b *testing.B) {
			sc := newSteps(b)
			sc.store.WriteLayout(2)
			batches := make([][]streams.Routing, b.N)
			for i := range batches {
				batches[i] = sc.keyed(b, 128*i, c.keys, c.ordered)
			}
			sc.measure(b, 128, func() {
				for _, batch := range batches {
					sc.copied(b, batch)
				}
			})
		})
	}
}

// BenchmarkOrderedSettle settles 128 messages of one channel in one step, without order and in order. Each has a key of its own,
// and none or another message waits for it.
func BenchmarkOrderedSettle(b *testing.B) {
	for _, c := range []struct {
		name    string
		ordered bool
		waits   int // messages of each key
	}{{"without order", false, 0}, {"nothing waits", true, 0}, {"one waits", true, 1}, {"three wait", true, 3}} {
		b.Run(c.name, func(b *testing.B) {
			sc := newSteps(b)
			sc.store.WriteLayout(2)
			for i := range b.N {
				for range 1 + c.waits {
					sc.copied(b, sc.keyed(b, 128*i, 1<<40, c.ordered))
				}
			}
			done := sc.taken(b, 128*b.N, benchSubs[0])
			sc.measure(b, 128, func() {
				for i := range b.N {
					if settled, err := sc.store.Delete(sc.ctx, 0, done[128*i:128*(i+1)]); err != nil || settled != 128 {
						b.Fatal(settled, err)
					}
				}
			})
		})
	}
}

// keyed publishes 128 messages of 256 bytes, the first with key number from, of so many keys, and routes them to one channel.
func (sc *steps) keyed(b *testing.B, from, keys int, ordered bool) []streams.Routing {
	b.Helper()
	n := from - 1
	batch := sc.published(b, 128, func() []any {
		n++
		return []any{"topic", "order.created", "key", strconv.Itoa(n % keys), "body", strings.Repeat("x", 256)}
	})
	for i := range batch {
		batch[i].Subs = benchSubs[:1]
		if ordered {
			batch[i].Ordered = batch[i].Subs
		}
	}
	return batch
}

func (sc *steps) copied(b *testing.B, batch []streams.Routing) {
	b.Helper()
	routed, err := sc.store.Fanout(sc.ctx, 0, batch)
	if err != nil || routed[len(batch)-1].Result != streams.RoutedCopied {
		b.Fatal(routed, err)
	}
}

// BenchmarkHandStep moves one message to three idle channels and reads the copies, in one step or in two.
func BenchmarkHandStep(b *testing.B) {
	for _, together := range []bool{false, true} {
		b.Run(map[bool]string{false: "two", true: "one"}[together], func(b *testing.B) {
			sc := newSteps(b)
			sc.store.WriteLayout(2)
			var batches [][]streams.Routing
			for len(batches) < b.N {
				for _, r := range sc.incoming(b, 128) {
					batches = append(batches, []streams.Routing{r})
				}
			}
			var wants []medispatcher.Want
			for _, sub := range benchSubs {
				wants = append(wants, medispatcher.Want{Channel: medispatcher.Channel{Subscription: sub}, Max: 1})
			}
			sc.measure(b, 1, func() {
				for _, batch := range batches[:b.N] {
					var got []medispatcher.Delivery
					var err error
					if together {
						_, got, err = sc.store.FanoutHand(sc.ctx, 0, streams.RoutedBy{}, batch, wants)
					} else if _, err = sc.store.Fanout(sc.ctx, 0, batch); err == nil {
						got, err = sc.store.Read(sc.ctx, wants)
					}
					if err != nil || len(got) != len(benchSubs) {
						b.Fatal(len(got), err)
					}
				}
			})
		})
	}
}

// BenchmarkDeleteStep settles n messages of three channels, sent at their first attempt, in one step.
func BenchmarkDeleteStep(b *testing.B) {
	for _, n := range []int{48, 128} {
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			sc := newSteps(b)
			sc.store.WriteLayout(2)
			var done []medispatcher.Settlement
			for len(done) < n*b.N {
				done = append(done, sc.buried(b)...)
			}
			sc.measure(b, n, func() {
				for i := range b.N {
					if settled, err := sc.store.Delete(sc.ctx, 0, done[n*i:n*(i+1)]); err != nil || settled != int64(n) {
						b.Fatal(settled, err)
					}
				}
			})
		})
	}
}

// steps is one dispatcher on a Redis of its own.
type steps struct {
	*streamstest.Env
	ctx   context.Context
	store *streams.Store
}

func newSteps(b *testing.B) *steps {
	b.Helper()
	env := streamstest.Real(b, "--appendonly", "yes", "--auto-aof-rewrite-percentage", "0")
	sc := &steps{Env: env, ctx: b.Context(), store: env.Open(b, env.Config("me"))}
	if _, err := sc.store.ReadIncoming(sc.ctx, 0, 1, true); err != nil { // creates the group
		b.Fatal(err)
	}
	for _, sub := range benchSubs {
		if err := env.Client.XGroupCreateMkStream(sc.ctx, "medis:{0}:ch:"+sub, "push", "0").Err(); err != nil {
			b.Fatal(err)
		}
	}
	return sc
}

// measure runs a step b.N times, each for so many messages.
func (sc *steps) measure(b *testing.B, messages int, run func()) {
	b.Helper()
	cpu := redisCPU(b, sc.Client)
	b.ResetTimer()
	run()
	b.StopTimer()
	cpu = redisCPU(b, sc.Client) - cpu
	b.ReportMetric(cpu*1e6/float64(b.N), "redis-µs/op")
	b.ReportMetric(cpu*1e6/float64(b.N*messages), "redis-µs/message")
}

// incoming publishes n messages of 256 bytes, reads them, and routes them to benchSubs.
func (sc *steps) incoming(b *testing.B, n int) []streams.Routing {
	b.Helper()
	routings := sc.published(b, n, func() []any { return []any{"topic", "order.created", "body", strings.Repeat("x", 256)} })
	for i := range routings {
		routings[i].Subs = benchSubs
	}
	return routings
}

// published publishes n messages, reads them, and decides about them as if nobody wanted them.
func (sc *steps) published(b *testing.B, n int, message func() []any) []streams.Routing {
	b.Helper()
	pipe := sc.Client.Pipeline()
	for range n {
		pipe.XAdd(sc.ctx, &redis.XAddArgs{Stream: "medis:{0}:incoming", Values: message()})
	}
	if _, err := pipe.Exec(sc.ctx); err != nil {
		b.Fatal(err)
	}
	entries, err := sc.store.ReadIncoming(sc.ctx, 0, n, false)
	if err != nil || len(entries) != n {
		b.Fatal(len(entries), err)
	}
	w := streams.FanoutWorker{Store: sc.store, MaxBody: 1 << 20}
	router := medispatcher.NewRouter(nil)
	routings := make([]streams.Routing, n)
	for i, e := range entries {
		routings[i] = w.Decide(e, router)
	}
	return routings
}

// buried publishes messages, lets their copies be read, and returns what settles them, the channels in turn.
func (sc *steps) buried(b *testing.B) (done []medispatcher.Settlement) {
	b.Helper()
	if _, err := sc.store.Fanout(sc.ctx, 0, sc.incoming(b, 128)); err != nil {
		b.Fatal(err)
	}
	all := sc.taken(b, 128, benchSubs...)
	for i := range 128 {
		for k := range benchSubs {
			done = append(done, all[128*k+i])
		}
	}
	return done
}

// taken reads n messages of each channel, and returns what settles them.
func (sc *steps) taken(b *testing.B, n int, subs ...string) (done []medispatcher.Settlement) {
	b.Helper()
	var wants []medispatcher.Want
	for _, sub := range subs {
		wants = append(wants, medispatcher.Want{Channel: medispatcher.Channel{Subscription: sub}, Max: n})
	}
	got, err := sc.store.Read(sc.ctx, wants)
	if err != nil || len(got) != n*len(subs) {
		b.Fatal(len(got), err)
	}
	for _, d := range got {
		done = append(done, medispatcher.Settlement{Channel: d.Channel, EntryID: d.EntryID, Outcome: medispatcher.Sent, Attempt: 1})
	}
	return done
}

// redisCPU is the CPU time that Redis has used, in seconds.
func redisCPU(b *testing.B, c redis.UniversalClient) float64 {
	b.Helper()
	info, err := c.Info(b.Context(), "cpu").Result()
	if err != nil {
		b.Fatal(err)
	}
	total := 0.0
	for line := range strings.Lines(info) {
		for _, name := range []string{"used_cpu_user:", "used_cpu_sys:"} {
			if value, ok := strings.CutPrefix(strings.TrimSpace(line), name); ok {
				var seconds float64
				if _, err := fmt.Sscan(value, &seconds); err != nil {
					b.Fatal(err)
				}
				total += seconds
			}
		}
	}
	return total
}
