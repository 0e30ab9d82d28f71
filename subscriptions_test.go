package medispatcher

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// TestSortedAgainstAMap: whatever is put and removed, alone or many at once, a sorted map holds what a plain map would,
// in order; the versions before stay as they were; and since finds what is different.
func TestSortedAgainstAMap(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		type version struct {
			got  sorted[int]
			want map[string]int
		}
		versions := []version{{want: map[string]int{}}}
		keys := rapid.IntRange(1, 2000).Draw(t, "keys")
		for range rapid.IntRange(1, 20).Draw(t, "steps") {
			from := versions[rapid.IntRange(0, len(versions)-1).Draw(t, "from")]
			want, changes := maps.Clone(from.want), map[string]int{}
			most := rapid.SampledFrom([]int{1, 5, 500, 5000}).Draw(t, "most")
			random := rand.New(rand.NewPCG(1, rapid.Uint64().Draw(t, "seed")))
			removes := rapid.IntRange(0, 4).Draw(t, "removes")
			for range 1 + random.IntN(most) {
				key, value := fmt.Sprint(random.IntN(keys)), 1+random.IntN(3)
				if random.IntN(4) < removes {
					value = 0
				}
				changes[key] = value
				if want[key] = value; value == 0 {
					delete(want, key)
				}
			}
			var pairs []pair[int]
			for _, key := range slices.Sorted(maps.Keys(changes)) {
				pairs = append(pairs, pair[int]{key, changes[key]})
			}
			versions = append(versions, version{from.got.with(pairs), want})
		}
		for _, v := range versions {
			checkSorted(t, &v.got, v.want)
			for _, before := range versions {
				got, want := map[string][2]int{}, map[string][2]int{}
				maps.Insert(got, v.got.since(&before.got))
				for key := range maps.Keys(before.want) {
					want[key] = [2]int{before.want[key], v.want[key]}
				}
				for key := range maps.Keys(v.want) {
					want[key] = [2]int{before.want[key], v.want[key]}
				}
				maps.DeleteFunc(want, func(_ string, values [2]int) bool { return values[0] == values[1] })
				if !maps.Equal(got, want) {
					t.Fatalf("since: %v, want %v", got, want)
				}
			}
		}
	})
}

func checkSorted(t *rapid.T, s *sorted[int], want map[string]int) {
	if s.n != len(want) {
		t.Fatalf("it counts %d, want %d", s.n, len(want))
	}
	keys := slices.Sorted(maps.Keys(want))
	var got []string
	for key, value := range s.after("") {
		if got = append(got, key); value != want[key] {
			t.Fatalf("%s is %d, want %d", key, value, want[key])
		}
	}
	if !slices.Equal(got, keys) {
		t.Fatalf("keys %v, want %v", got, keys)
	}
	for _, key := range []string{"", "1", "1000", "1999", "5", "z"} {
		if s.get(key) != want[key] {
			t.Fatalf("get %s: %d, want %d", key, s.get(key), want[key])
		}
		var behind []string
		for k := range s.after(key) {
			behind = append(behind, k)
		}
		at, found := slices.BinarySearch(keys, key)
		if found {
			at++
		}
		if !slices.Equal(behind, keys[at:]) {
			t.Fatalf("after %s: %v, want %v", key, behind, keys[at:])
		}
	}
	for i, c := range s.chunks {
		if len(c.pairs) == 0 || len(c.pairs) > chunkMost || i > 0 && len(s.chunks[i-1].pairs)+len(c.pairs) <= chunkMost/2 {
			t.Fatalf("%d pairs in chunk %d of %d", len(c.pairs), i, len(s.chunks))
		}
	}
}

// playlist reads changes of subscriptions from bytes, two for each.
func playlist(data []byte) (steps [][]*Subscription) {
	patterns := []string{
		"a", "b", "a.b", "a.a", "*", ">", "a.*", "a.>", "*.b", "*.*", "*.>", "a.*.b", "a.b.>", "*.a.*", "b.*.>", "bench", "bench.>", "bench.*",
		"bench.0123456789ab", "*.0123456789ab", "bench.0123456789ab.>", "a-b", "a-b.>", "a_.b", "A.b", "a.b.a.b",
	}
	for ; len(data) > 1; data = data[2:] {
		sub := &Subscription{ID: string('k' + data[0]%12), Topic: patterns[int(data[1]&^128)%len(patterns)], ReceiveBench: data[1] > 127}
		if data[0]&16 != 0 {
			sub.Topic = "" // remove it
		}
		if data[0]&32 != 0 || len(steps) == 0 { // a step of its own
			steps = append(steps, nil)
		}
		last := len(steps) - 1
		if !slices.ContainsFunc(steps[last], func(s *Subscription) bool { return s.ID == sub.ID }) {
			steps[last] = append(steps[last], sub)
		}
	}
	return steps
}

// FuzzRoute: a router that followed changes routes as each subscription for itself says, and routers before it still do
// as they did.
func FuzzRoute(f *testing.F) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 50 {
		data := make([]byte, 2+random.IntN(200))
		for i := range data {
			data[i] = byte(random.Uint32())
		}
		f.Add(data)
	}
	topics := []string{"a", "b", "a.b", "a.a", "a.b.a", "a.b.b", "a.b.a.b", "b.a.b", "b.b", "bench", "bench.b", "bench.0123456789ab", "bench.0123456789ab.c", "a-b", "a-b.a", "a_.b", "A.b", "c"}
	f.Fuzz(func(t *testing.T, data []byte) {
		subs, now := NewSubscriptions(), map[string]*Subscription{}
		check := func(subs *Subscriptions, now map[string]*Subscription) {
			t.Helper()
			atOnce := 0
			for _, s := range now {
				atOnce += s.AtOnce()
			}
			if got := subs.IDs(); !slices.Equal(got, slices.Sorted(maps.Keys(now))) || subs.Len() != len(now) || subs.AtOnce() != atOnce {
				t.Fatalf("subscriptions %v of %d, want %v", got, subs.Len(), now)
			}
			for _, topic := range topics {
				var want []string
				for id, s := range now {
					if s.Wants(topic) {
						want = append(want, id)
					}
				}
				slices.Sort(want)
				if got := subs.Router().Route(topic); !slices.Equal(got, want) {
					t.Fatalf("%s goes to %v, want %v", topic, got, want)
				}
				if near, want := subs.Router().Nearest(topic), nearestByHand(now, topic); near != want {
					t.Fatalf("nearest to %s: %q, want %q", topic, near, want)
				}
			}
		}
		for _, step := range playlist(data) {
			before, was := subs, maps.Clone(now)
			var put []*Subscription
			var removed []string
			changed := 0
			for _, s := range step {
				had := now[s.ID]
				if s.Topic == "" {
					removed = append(removed, s.ID)
					delete(now, s.ID)
				} else {
					put, now[s.ID] = append(put, s), s
				}
				if had != now[s.ID] {
					changed++
				}
			}
			subs = subs.With(put, removed)
			check(subs, now)
			check(before, was)
			changes := subs.Since(before)
			if len(changes) != changed {
				t.Fatalf("%d changes, want %d", len(changes), changed)
			}
			for _, c := range changes {
				if c.Was != was[c.ID()] || c.Now != now[c.ID()] {
					t.Fatalf("%s changed from %v to %v", c.ID(), c.Was, c.Now)
				}
			}
		}
		if len(now) == 0 && (subs.Router().all != nil || subs.Router().bench != nil) {
			t.Fatal("something is left of subscriptions that were removed")
		}
	})
}

// nearestByHand tries every pattern.
func nearestByHand(subs map[string]*Subscription, topic string) (near string) {
	most := max(1, min(3, len(topic)/4))
	for _, s := range subs {
		given := strings.Split(topic, ".")
		levels := strings.Split(s.Topic, ".")
		if open := slices.IndexFunc(levels, func(l string) bool { return l == ">" }); open >= 0 && open >= len(given) {
			continue
		}
		if slices.ContainsFunc(levels[min(len(given), len(levels)):], func(l string) bool { return l == "*" }) {
			continue
		}
		for i, l := range levels {
			switch l {
			case "*":
				levels[i] = given[i]
			case ">":
				levels[i] = strings.Join(given[i:], ".")
			}
		}
		c := strings.Join(levels, ".")
		if d := distance(topic, c); c != topic && (d < most || d == most && (near == "" || c < near)) {
			near, most = c, d
		}
	}
	return near
}
