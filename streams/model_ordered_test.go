package streams_test

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"testing"

	"github.com/redis/go-redis/v9"
	"pgregory.net/rapid"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/streams"
	"github.com/solate/medispatcher/streams/streamstest"
)

// TestOrderedModel plays random lives of messages of an ordered subscription: steps of three dispatchers, refused steps, lost
// replies, crashes and replays. The model knows of each key which messages are not settled, in their order, and how often each was
// tried. Only the first may be taken, with those right behind it or alone. At the end all are delivered, and nothing is left of the lines.
func TestOrderedModel(t *testing.T) {
	t.Parallel()
	streamstest.EachAndCluster(t, func(t *testing.T, env *streamstest.Env) {
		if env.Mini == nil {
			flagTimes(t, "rapid.checks", 0.25)
		}
		o := &orderly{t: t, env: env}
		for i := range o.stores {
			o.stores[i] = env.Open(t, env.Config(fmt.Sprint("d", i)))
			o.faults[i] = &streamstest.Faults{}
			o.stores[i].DB().AddHook(o.faults[i])
		}
		rapid.Check(t, func(rt *rapid.T) {
			o.begin(rt)
			rt.Repeat(map[string]func(*rapid.T){
				"publish": o.publish, "publish, 2": o.publish, "take": o.take, "fan out": o.fanout, "fan out, 2": o.fanout,
				"read": o.read, "read, 2": o.read, "settle": o.settle, "settle, 2": o.settle, "due": o.due, "crash": o.crash, "replay": o.replay,
				"straighten": func(*rapid.T) { o.must(second(o.stores[0].Straighten(t.Context(), channelS, true))) },
			})
			o.drain()
		})
	})
}

type orderly struct {
	t      *testing.T
	env    *streamstest.Env
	stores [3]*streams.Store
	faults [3]*streamstest.Faults

	rt       *rapid.T
	n        int                        // messages published
	accepted map[string][]int           // by key, not copied yet
	lines    map[string][]int           // by key, copied and not settled
	flying   map[int]bool               // taken and not settled
	tried    map[int]int                // attempts that failed
	hands    [3][]streams.Entry         // incoming entries in hand
	owned    [3][]medispatcher.Delivery // of the channel
	dead     int
}

func (o *orderly) must(err error) {
	if err != nil {
		o.rt.Fatal(err)
	}
}

func (o *orderly) begin(rt *rapid.T) {
	o.env.Flush(o.t)
	*o = orderly{t: o.t, env: o.env, stores: o.stores, faults: o.faults, rt: rt, accepted: map[string][]int{}, lines: map[string][]int{}, flying: map[int]bool{}, tried: map[int]int{}}
	for _, s := range o.stores {
		s.WriteLayout(rapid.IntRange(1, 2).Draw(rt, "layout"))
	}
	for range 2 { // makes the groups
		must[[]streams.Entry](o.t)(o.stores[0].ReadIncoming(o.t.Context(), 0, 1, false))
	}
}

func (o *orderly) who(rt *rapid.T) int { return rapid.IntRange(0, 2).Draw(rt, "dispatcher") }

// step runs a step of a dispatcher, which may fail, and repeats it then.
func (o *orderly) step(rt *rapid.T, who int, do func() error) {
	switch rapid.IntRange(0, 5).Draw(rt, "fault") {
	case 0:
		o.faults[who].Next(streamstest.Before, 1, "evalsha")
	case 1:
		o.faults[who].Next(streamstest.After, 1, "evalsha")
	}
	err := do()
	o.faults[who].Next("", 0)
	if errors.Is(err, streamstest.ErrInjected) {
		err = do()
	}
	o.must(err)
}

func (o *orderly) publish(rt *rapid.T) {
	key := rapid.SampledFrom([]string{"a", "b", "c", ""}).Draw(rt, "key")
	o.n++
	fields := []any{"topic", "a.b", "body", fmt.Sprint(o.n)}
	if key != "" {
		fields = append(fields, "key", key)
	}
	o.must(o.env.Client.XAdd(o.t.Context(), &redis.XAddArgs{Stream: "medis:{0}:incoming", Values: fields}).Err())
	o.accepted[key] = append(o.accepted[key], o.n)
}

func (o *orderly) take(rt *rapid.T) {
	who := o.who(rt)
	entries, err := o.stores[who].ReadIncoming(o.t.Context(), 0, rapid.IntRange(1, 4).Draw(rt, "count"), false)
	o.must(err)
	o.hands[who] = append(o.hands[who], entries...)
}

func (o *orderly) fanout(rt *rapid.T) { o.fanoutOf(rt, o.who(rt)) }

func (o *orderly) fanoutOf(rt *rapid.T, who int) {
	hand := o.hands[who]
	if len(hand) == 0 {
		return
	}
	step := make([]streams.Routing, len(hand))
	for i, e := range hand {
		m := message("a.b")
		m.Key = e.Fields()["key"]
		step[i] = streams.Routing{EntryID: e.ID, Message: m, Subs: []string{"s"}}
		if m.Key != "" {
			step[i].Ordered = []string{"s"}
		}
	}
	var routed []streams.Routed
	o.step(rt, who, func() (err error) {
		routed, err = o.stores[who].Fanout(o.t.Context(), 0, step)
		return err
	})
	o.hands[who] = nil
	for i, r := range routed {
		n, _ := strconv.Atoi(hand[i].Fields()["body"])
		key := step[i].Message.Key
		at := slices.Index(o.accepted[key], n)
		switch r.Result {
		case streams.RoutedEarly:
			if o.oldest() == hand[i].ID {
				o.rt.Fatalf("%d of key %q is the oldest", n, key)
			}
			o.hands[who] = append(o.hands[who], hand[i])
			continue
		case streams.RoutedCopied, streams.RoutedGone:
		default:
			o.rt.Fatalf("%+v", r)
		}
		if at < 0 {
			continue // by another dispatcher
		}
		if key != "" && at > 0 {
			o.rt.Fatalf("%d of key %q is copied before %v", n, key, o.accepted[key][:at])
		}
		o.accepted[key] = slices.Delete(o.accepted[key], at, at+1)
		o.lines[key] = append(o.lines[key], n)
	}
}

func (o *orderly) oldest() string {
	list, err := o.env.Client.XPendingExt(o.t.Context(), &redis.XPendingExtArgs{Stream: "medis:{0}:incoming", Group: "fanout", Start: "-", End: "+", Count: 1}).Result()
	if err != nil || len(list) == 0 {
		return ""
	}
	return list[0].ID
}

// took checks messages that a dispatcher takes.
func (o *orderly) took(who int, list []medispatcher.Delivery) {
	for _, d := range list {
		line := o.lines[d.Message.Key]
		for i, m := range slices.Concat([]medispatcher.Delivery{d}, d.Run) {
			n := number(m)
			at := slices.Index(line, n)
			if at < 0 || o.flying[n] || d.Message.Key != "" && at != i {
				o.rt.Fatalf("%d of key %q is taken; not settled: %v, in flight: %v", n, d.Message.Key, line, o.flying)
			}
			if tried := max(m.Attempt-1, m.Tried); tried != o.tried[n] || tried > 0 && (m.Failure == nil || m.Failure.Attempts != tried) {
				o.rt.Fatalf("%d was tried %d times: %+v", n, o.tried[n], m)
			}
		}
		if d.PutOff() {
			out := medispatcher.Settlement{Channel: channelS, EntryID: d.EntryID, Attempt: d.Attempt, Outcome: medispatcher.Failed, Next: d.Tried + 1, Due: d.Due, Failure: d.Failure}
			o.step(o.rt, who, func() error { return o.stores[who].Retry(o.t.Context(), 0, []medispatcher.Settlement{out}) })
			continue
		}
		o.flies(d, true)
		o.owned[who] = append(o.owned[who], d)
	}
}

func number(d medispatcher.Delivery) int {
	n, _ := strconv.Atoi(string(d.Message.Body))
	return n
}

// flies notes that a message is in flight, with those behind it, or no longer is.
func (o *orderly) flies(d medispatcher.Delivery, does bool) {
	for _, m := range slices.Concat([]medispatcher.Delivery{d}, d.Run) {
		if o.flying[number(m)] = does; !does {
			delete(o.flying, number(m))
		}
	}
}

func (o *orderly) read(rt *rapid.T) {
	who, ctx := o.who(rt), o.t.Context()
	list, err := o.stores[who].Read(ctx, []medispatcher.Want{{Channel: channelS, Max: rapid.IntRange(1, 6).Draw(rt, "max"), Runs: rapid.Bool().Draw(rt, "runs")}})
	if errors.Is(err, medispatcher.ErrGroupCreated) {
		return
	}
	o.must(err)
	if rapid.IntRange(0, 7).Draw(rt, "lost") == 0 { // the reply
		for _, d := range list {
			o.must(o.stores[who].Release(ctx, channelS, []string{d.EntryID}, false))
		}
		return
	}
	o.took(who, list)
}

func (o *orderly) due(rt *rapid.T) {
	who := o.who(rt)
	list, _, err := o.stores[who].Due(o.t.Context(), 0, []medispatcher.Want{{Channel: channelS, Max: 6, Runs: rapid.Bool().Draw(rt, "runs")}})
	o.must(err)
	o.took(who, list)
}

func (o *orderly) settle(rt *rapid.T) { o.settleOf(rt, o.who(rt)) }

func (o *orderly) settleOf(rt *rapid.T, who int) {
	ctx, s := o.t.Context(), o.stores[who]
	done := map[medispatcher.Outcome][]medispatcher.Settlement{}
	for _, d := range o.owned[who] {
		outcome := rapid.SampledFrom([]medispatcher.Outcome{medispatcher.Sent, medispatcher.Sent, medispatcher.Failed, medispatcher.Exhausted}).Draw(rt, "outcome")
		out := settlement(d.EntryID, outcome)[0]
		out.Attempt, out.Delay, out.RunFrom = d.Attempt, 0, d.RunFrom
		o.outcome(d, &out)
		for _, m := range d.Run {
			behind := settlement("", rapid.SampledFrom([]medispatcher.Outcome{medispatcher.Sent, medispatcher.Sent, medispatcher.Failed, medispatcher.Released}).Draw(rt, "behind"))[0]
			behind.Attempt, behind.Delay = m.Attempt, 0
			o.outcome(m, &behind)
			out.Run = append(out.Run, behind)
		}
		done[outcome] = append(done[outcome], out)
		o.flies(d, false)
		if outcome == medispatcher.Exhausted {
			o.dead++
		}
	}
	o.owned[who] = nil
	if list := done[medispatcher.Sent]; len(list) > 0 {
		o.step(rt, who, func() error { return second(s.Delete(ctx, 0, list)) })
	}
	if list := done[medispatcher.Failed]; len(list) > 0 {
		o.step(rt, who, func() error { return s.Retry(ctx, 0, list) })
	}
	if list := done[medispatcher.Exhausted]; len(list) > 0 {
		o.step(rt, who, func() error { return s.Kill(ctx, 0, list) })
	}
}

// outcome notes what becomes of a message.
func (o *orderly) outcome(d medispatcher.Delivery, out *medispatcher.Settlement) {
	n, key := number(d), d.Message.Key
	switch out.Outcome {
	case medispatcher.Failed:
		o.tried[n]++
		out.Failure = &medispatcher.Failure{Attempts: d.Attempt}
	case medispatcher.Released:
	default:
		o.lines[key] = slices.DeleteFunc(o.lines[key], func(m int) bool { return m == n })
	}
}

// crash has a dispatcher forget all that it has in hand. Another one adopts that.
func (o *orderly) crash(rt *rapid.T) {
	who, ctx := o.who(rt), o.t.Context()
	other := (who + 1) % len(o.stores)
	for _, d := range o.owned[who] {
		o.flies(d, false)
	}
	o.hands[who], o.owned[who] = nil, nil
	_, _, err := o.stores[other].GiveBack(ctx, channelS, o.stores[who].ID(), 100)
	o.must(err)
	_, _, err = o.stores[other].GiveBackIncoming(ctx, 0, o.stores[who].ID(), 100, true)
	o.must(err)
	own, err := o.stores[other].ReadIncoming(ctx, 0, 100, true)
	o.must(err)
	o.hands[other] = own
}

func (o *orderly) replay(*rapid.T) {
	letters, err := o.stores[0].DeadLetters(o.t.Context(), "s", "", 1)
	o.must(err)
	if len(letters) == 0 {
		return
	}
	o.must(second(o.stores[0].Replay(o.t.Context(), "s", []string{letters[0].ID})))
	n, _ := strconv.Atoi(string(letters[0].Message.Body))
	delete(o.tried, n)
	o.lines[letters[0].Message.Key] = append(o.lines[letters[0].Message.Key], n)
	o.dead--
}

// drain delivers everything.
func (o *orderly) drain() {
	ctx := o.t.Context()
	o.must(second(o.stores[0].Straighten(ctx, channelS, true)))
	for range 4 * (o.n + 10) {
		for who, s := range o.stores {
			entries, err := s.ReadIncoming(ctx, 0, 100, false)
			o.must(err)
			o.hands[who] = append(o.hands[who], entries...)
			o.fanoutOf(o.rt, who)
			list, err := s.Read(ctx, []medispatcher.Want{{Channel: channelS, Max: 100, Runs: true}})
			if errors.Is(err, medispatcher.ErrGroupCreated) {
				continue
			}
			o.must(err)
			o.took(who, list)
			due, _, err := s.Due(ctx, 0, []medispatcher.Want{{Channel: channelS, Max: 100, Runs: true}})
			o.must(err)
			o.took(who, due)
			o.settleOf(o.rt, who)
		}
		o.must(second(o.stores[0].Straighten(ctx, channelS, true)))
		left := len(o.flying)
		for _, line := range o.lines {
			left += len(line)
		}
		for _, list := range o.accepted {
			left += len(list)
		}
		if left == 0 {
			line := o.env.Client.HGetAll(ctx, "medis:{0}:line:s").Val()
			maps.DeleteFunc(line, func(field, _ string) bool { return field == "~" || field == "~runs" })
			if len(line) > 0 || o.env.Client.Exists(ctx, "medis:{0}:wait:s").Val() > 0 {
				o.rt.Fatalf("lines are left: %v", line)
			}
			return
		}
	}
	o.rt.Fatalf("not delivered: %v, not copied: %v", o.lines, o.accepted)
}
