package streams_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"strconv"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/streams"
	"github.com/solate/medispatcher/streams/streamstest"
)

// TestModel plays random lives of messages against a model in memory: steps of several dispatchers,
// crashes, lost replies, refused commands and commands typed by hand. After every step it compares all
// of Redis with the model. At the end, a dispatcher without faults finishes the rest, and every message
// must have come to a good end.
//
//	go test ./streams -run TestModel -rapid.checks=20000 -rapid.steps=60
//	go test ./streams -run TestModel -rapid.seed=N      one run again
func TestModel(t *testing.T) {
	t.Parallel()
	streamstest.Each(t, func(t *testing.T, env *streamstest.Env) {
		lab := newLab(t, env)
		flagTimes(t, "rapid.steps", 1.5)
		if env.Mini == nil {
			flagTimes(t, "rapid.checks", 0.25)
		}
		rapid.Check(t, func(rt *rapid.T) {
			w := newWorld(rt, lab)
			rt.Repeat(map[string]func(*rapid.T){
				"":                w.compare,
				"publish":         w.publish,
				"fan out":         w.fanout,
				"read":            w.read,
				"settle":          w.settle,
				"due":             w.due,
				"declare dead":    w.declareDead,
				"time":            w.pass,
				"clock":           w.setClock,
				"repair":          w.repair,
				"operator":        w.operator,
				"read, 2":         w.read,
				"settle, 4":       w.settle,
				"settle, 5":       w.settle,
				"replay":          w.replayAny,
				"settle, 2":       w.settle, // a second time, to happen more often
				"settle, 3":       w.settle,
				"due, 2":          w.due,
				"declare dead, 2": w.declareDead,
			})
			w.drain()
		})
	})
}

// flagTimes multiplies a numeric flag for the rest of a test.
func flagTimes(t *testing.T, name string, by float64) {
	t.Helper()
	f := flag.Lookup(name)
	old := f.Value.String()
	n, err := strconv.ParseFloat(old, 64)
	check(t, err)
	check(t, f.Value.Set(strconv.Itoa(max(1, int(n*by)))))
	t.Cleanup(func() { _ = f.Value.Set(old) })
}

const (
	modelPartitions = 2
	modelWindow     = time.Minute // of dedupe
	dueNow          = 1           // the due time of a message that is due at once
)

var (
	modelSubs = []medispatcher.Subscription{
		{ID: "a", Topic: "order.*"}, {ID: "b", Topic: "order.created"}, {ID: "c", Topic: "bill.>"},
	}
	modelIDs    = []string{"a", "b", "c"}
	modelTopics = []string{"order.created", "order.created", "order.created", "order.paid", "bill.sent", "nobody.cares", "not a topic"}
	// modelStart is an arbitrary time.
	modelStart = time.UnixMilli(1_700_000_000_000)
)

// lab is a Redis and all dispatchers that were ever started on it. All sequences share it.
type lab struct {
	*streamstest.Env
	t      *testing.T
	ctx    context.Context
	worker *streams.FanoutWorker
	router *medispatcher.Router
	stores map[string]*streams.Store
	faults map[string]*streamstest.Faults
}

func newLab(t *testing.T, env *streamstest.Env) *lab {
	t.Helper()
	l := &lab{
		Env: env, t: t, ctx: t.Context(), router: medispatcher.NewRouter(modelSubs),
		worker: &streams.FanoutWorker{MaxBody: 100},
		stores: map[string]*streams.Store{}, faults: map[string]*streamstest.Faults{},
	}
	l.loadScripts()
	return l
}

// store is that of the dispatcher with this id.
func (l *lab) store(id string) (*streams.Store, *streamstest.Faults) {
	if l.stores[id] == nil {
		cfg := l.Config(id)
		cfg.Partitions, cfg.DedupeWindow = modelPartitions, modelWindow
		l.stores[id], l.faults[id] = l.Open(l.t, cfg), &streamstest.Faults{}
		l.stores[id].DB().AddHook(l.faults[id])
	}
	return l.stores[id], l.faults[id]
}

// loadScripts runs every script once, on missing keys, so that a fault hits the step and not its loading.
func (l *lab) loadScripts() {
	s, _ := l.store("loader")
	c := channelS
	for key, group := range map[string]string{incomingKey(0): "fanout", incomingKey(1): "fanout", channelKey(0, "s"): "push"} {
		check(l.t, l.Client.XGroupCreateMkStream(l.ctx, key, group, "0").Err())
	}
	for _, err := range []error{
		second(s.Fanout(l.ctx, 0, []streams.Routing{{EntryID: "0-1"}})),
		third(s.ReleaseDelayed(l.ctx, 0, 1)),
		second(s.Delete(l.ctx, 0, settlement("0-1", medispatcher.Sent))),
		s.Retry(l.ctx, 0, settlement("0-1", medispatcher.Failed)),
		s.Kill(l.ctx, 0, settlement("0-1", medispatcher.Exhausted)),
		third(s.Due(l.ctx, 0, []medispatcher.Want{{Channel: c, Max: 1}})),
		second(s.Replay(l.ctx, "s", []string{"0-0-1"})),
		second(s.PurgeDead(l.ctx, "s", []string{"0-0-1"})),
		s.Release(l.ctx, c, nil, true),
		s.LeaveIncoming(l.ctx),
		third(s.GiveBack(l.ctx, c, "nobody", 1)),
		third(s.GiveBackIncoming(l.ctx, 0, "nobody", 1, true)),
		second(s.Orphans(l.ctx, c, false, false)),
		second(s.Unowned(l.ctx, c, true)),
	} {
		check(l.t, err)
	}
}

// world is one sequence: the state of Redis according to the model, and the dispatchers with the
// messages that they have in hand.
type world struct {
	*lab
	rt          *rapid.T
	now         int64 // ms
	skew        int64 // ms that the clock of Redis is off by
	arrivals    []*arrival
	copies      []*copyOf
	groups      map[string]bool               // streams whose group exists
	remade      map[string]bool               // channels whose group was lost, so due times may be stale
	robbed      map[medispatcher.Channel]bool // an audit would count what was taken out
	seen        map[string]memory
	counts      map[string]int64
	dispatchers []*dispatcher
	started     int
	touched     bool // since the last comparison
}

// memory is the content of a seen key.
type memory struct {
	entry string
	until int64
}

// dispatcher is a process. It acts when it is its turn, is frozen until then, and may crash.
type dispatcher struct {
	id      string
	store   *streams.Store
	faults  *streamstest.Faults
	entries [modelPartitions][]streams.Entry // the batch read from incoming, not moved yet
	after   map[string]string                // the last subscription with a copy of them, by partition and entry
	hand    []*inHand                        // deliveries that it believes are its own
}

// inHand is a delivery and, after its attempt, the outcome to settle.
type inHand struct {
	medispatcher.Delivery
	out *medispatcher.Settlement
}

func newWorld(rt *rapid.T, l *lab) *world {
	if err := l.Client.FlushAll(l.ctx).Err(); err != nil {
		rt.Fatal(err)
	}
	w := &world{
		lab: l, rt: rt, groups: map[string]bool{}, remade: map[string]bool{}, robbed: map[medispatcher.Channel]bool{},
		seen: map[string]memory{}, counts: map[string]int64{},
	}
	for p := range modelPartitions { // so that what walks the active channels relies on the sets
		for _, set := range []string{"active", "active:dead"} {
			w.ok(l.Client.SAdd(l.ctx, fmt.Sprintf("medis:{%d}:%s", p, set), "~built").Err())
		}
	}
	w.setTime(modelStart.UnixMilli())
	w.worker.Store, _ = l.store("loader")
	w.useClock(w.worker.Store)
	for i := range 3 {
		w.dispatchers = append(w.dispatchers, nil)
		w.start(i)
	}
	if rapid.Bool().Draw(rt, "groups") {
		w.makeGroups()
		w.begin(rapid.SampledFrom([]int{0, 1, 2, 3, 3, 3}).Draw(rt, "messages"))
	}
	return w
}

// makeGroups lets a dispatcher read every stream, as it does when it starts.
func (w *world) makeGroups() {
	d := w.dispatchers[0]
	for p := range modelPartitions {
		var wants []medispatcher.Want
		for _, sub := range modelIDs {
			wants = append(wants, medispatcher.Want{Channel: medispatcher.Channel{Partition: p, Subscription: sub}, Max: 1})
			w.groups[channelKey(p, sub)] = true
		}
		if _, err := d.store.Read(w.ctx, wants); !errors.Is(err, medispatcher.ErrGroupCreated) {
			w.ok(err)
		}
		w.groups[incomingKey(p)] = true
		w.ok(second(d.store.ReadIncoming(w.ctx, p, 1, true)))
	}
}

// begin makes n messages READY, so that most sequences are about their deliveries.
func (w *world) begin(n int) {
	d := w.dispatchers[0]
	for i := range n {
		m := &arrival{n: i, topic: "order.created", place: place{where: placeIncoming}}
		w.arrivals = append(w.arrivals, m)
		w.ok(second(d.store.Publish(w.ctx, medispatcher.Message{Topic: m.topic, Body: []byte(m.name()), Key: keysOf[0]})))
	}
	if n == 0 {
		return
	}
	entries, err := d.store.ReadIncoming(w.ctx, 0, n, false)
	w.ok(err)
	d.entries[0] = entries
	for i, m := range w.arrivals {
		m.entry, m.first, m.owner = entries[i].ID, entries[i].ID, d.id
	}
	w.honestMove(d, 0)
	d.entries[0] = nil
	w.say("%d messages are READY", n)
}

// start replaces a process that ended with a new one. Ids are never reused.
func (w *world) start(at int) {
	w.started++
	d := &dispatcher{id: "d" + strconv.Itoa(w.started), after: map[string]string{}}
	d.store, d.faults = w.lab.store(d.id)
	w.useClock(d.store)
	d.store.WriteLayout(1 + w.started%2)
	w.dispatchers[at] = d
}

// useClock makes a store use the time of the model.
func (w *world) useClock(s *streams.Store) {
	if w.Mini != nil {
		w.ok(s.UseClock(w.ctx, func() time.Duration { return time.Duration(w.now) * time.Millisecond }))
	}
}

// stores are those of the dispatchers.
func (w *world) stores() (list []*streams.Store) {
	for _, d := range w.dispatchers {
		list = append(list, d.store)
	}
	return list
}

// setTime sets the clock of miniredis. On redis-server it only reads the clock.
func (w *world) setTime(ms int64) {
	if w.Mini == nil {
		now, err := w.Client.Time(w.ctx).Result()
		w.ok(err)
		w.now = now.UnixMilli()
		return
	}
	if w.now > 0 {
		w.Mini.FastForward(time.Duration(ms-w.now) * time.Millisecond) // TTLs only
	}
	w.now = ms
	w.Mini.SetTime(time.UnixMilli(ms + w.skew))
}

func (w *world) ok(err error) {
	w.rt.Helper()
	if err != nil {
		w.rt.Fatal(err)
	}
}

// say logs a step, for the report of a failed sequence.
func (w *world) say(format string, args ...any) {
	w.touched = true
	w.rt.Logf("  · "+format, args...)
}

func (w *world) require(holds bool, format string, args ...any) {
	w.rt.Helper()
	if !holds {
		w.rt.Fatalf(format, args...)
	}
}

func third[T, U any](_ T, _ U, err error) error { return err }

func incomingKey(p int) string            { return fmt.Sprintf("medis:{%d}:incoming", p) }
func channelKey(p int, sub string) string { return fmt.Sprintf("medis:{%d}:ch:%s", p, sub) }
