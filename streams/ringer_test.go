package streams_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/streams"
	"github.com/solate/medispatcher/streams/streamstest"
)

// ears is a dispatcher that hears and rings, and reads nothing.
type ears struct {
	id     string
	store  *streams.Store
	ringer *streams.Ringer
	heard  chan string
	stop   func()
}

// hears starts it.
func hears(t *testing.T, env *streamstest.Env, cfg streams.Config) *ears {
	t.Helper()
	e := &ears{id: cfg.ID, store: env.Open(t, cfg), heard: make(chan string, 100)}
	e.ringer = streams.NewRinger(e.store)
	ctx, cancel := context.WithCancel(t.Context())
	var g errgroup.Group
	listening := make(chan struct{}, 10)
	g.Go(func() error { return e.ringer.Run(ctx) })
	g.Go(func() error {
		return e.store.Listen(ctx, streams.Hints{
			Changed: func() { listening <- struct{}{} },
			Ready:   func(c []medispatcher.Channel) { e.heard <- fmt.Sprint("ready ", c) },
			Due:     func(c []medispatcher.Channel) { e.heard <- fmt.Sprint("due ", c) },
			Rung: func(from string, c []medispatcher.Channel) {
				e.ringer.Full(from, c)
				e.heard <- fmt.Sprint("rung ", from, c)
			},
			Free: func(from string, c []medispatcher.Channel) {
				e.ringer.Free(from, c)
				e.heard <- fmt.Sprint("free ", from, c)
			},
		})
	})
	<-listening
	e.stop = func() { cancel(); _ = g.Wait() }
	t.Cleanup(e.stop)
	return e
}

func (e *ears) expect(t *testing.T, want string) {
	t.Helper()
	select {
	case got := <-e.heard:
		if got != want {
			t.Errorf("%s heard %q, want %q", e.id, got, want)
		}
	case <-time.After(10 * time.Second):
		t.Fatalf("%s did not hear %q", e.id, want)
	}
}

// quiet checks that nobody hears anything that was sent before now.
func quiet(t *testing.T, all ...*ears) {
	t.Helper()
	ctx := t.Context()
	for _, e := range all {
		check(t, e.ringer.Flush(ctx))
	}
	check(t, all[0].store.RingDue(ctx, 0, []string{"last"}))
	for _, e := range all {
		e.expect(t, "due [{0 last}]")
	}
}

// meet has all of them beat, and know one another.
func meet(t *testing.T, all ...*ears) {
	t.Helper()
	ctx := t.Context()
	for _, e := range all {
		check(t, e.store.Heartbeat(ctx, medispatcher.Dispatcher{Version: "2", DeadAfter: time.Minute}))
	}
	for _, e := range all {
		e.ringer.Note(must[[]medispatcher.Dispatcher](t)(e.store.Dispatchers(ctx)))
	}
}

// homeAt is a channel with this home.
func homeAt(e *ears) []medispatcher.Channel {
	for i := 0; ; i++ {
		if c := (medispatcher.Channel{Subscription: fmt.Sprint("s", i)}); e.ringer.Home(c) == e.id {
			return []medispatcher.Channel{c}
		}
	}
}

// TestRing: a ring reaches the home of its channel alone. A home that is full calls another one, and none that is full.
func TestRing(t *testing.T) {
	t.Parallel()
	streamstest.EachAndCluster(t, func(t *testing.T, env *streamstest.Env) {
		ctx := t.Context()
		var all []*ears
		for _, id := range []string{"a", "b", "c"} {
			all = append(all, hears(t, env, env.Config(id)))
		}
		meet(t, all...)
		copier, home, helper := all[0], all[1], all[2]
		c := homeAt(home)

		copier.ringer.Spilled(c)
		home.expect(t, fmt.Sprint("rung a", c))
		quiet(t, all...)

		home.ringer.Spilled(c) // it is full, too
		helper.expect(t, fmt.Sprint("rung b", c))
		helper.ringer.Spilled(c)
		home.expect(t, fmt.Sprint("rung c", c))
		home.ringer.Spilled(c)
		quiet(t, all...) // all are full

		copier.ringer.Eased(c) // and gets the ring that found nobody
		home.expect(t, fmt.Sprint("free a", c))
		copier.expect(t, fmt.Sprint("rung b", c))
		quiet(t, all...)

		helper.ringer.Eased(c)
		home.expect(t, fmt.Sprint("free c", c))
		quiet(t, all...) // a is called for what there was

		// One that joins while all are full is called.
		for _, e := range []*ears{copier, helper} {
			e.ringer.Spilled(c)
			home.expect(t, fmt.Sprint("rung ", e.id, c))
		}
		home.ringer.Spilled(c)
		quiet(t, all...)
		var joined *ears
		for i := 0; joined == nil; i++ { // one that leaves the channel its home
			e := hears(t, env, env.Config(fmt.Sprint("d", i)))
			check(t, e.store.Heartbeat(ctx, medispatcher.Dispatcher{Version: "2", DeadAfter: time.Minute}))
			e.ringer.Note(must[[]medispatcher.Dispatcher](t)(e.store.Dispatchers(ctx)))
			if e.ringer.Home(c[0]) == home.id {
				joined = e
				break
			}
			check(t, e.store.Leave(ctx))
			e.stop()
		}
		home.ringer.Note(must[[]medispatcher.Dispatcher](t)(home.store.Dispatchers(ctx)))
		joined.expect(t, fmt.Sprint("rung b", c))
	})
}

// TestRingUnheard: a ring that nobody heard, because the home has ended and is still on the list, goes to another one.
func TestRingUnheard(t *testing.T) {
	t.Parallel()
	streamstest.EachAndCluster(t, func(t *testing.T, env *streamstest.Env) {
		ctx := t.Context()
		a, b, third := hears(t, env, env.Config("a")), hears(t, env, env.Config("b")), hears(t, env, env.Config("c"))
		meet(t, a, b, third)
		c := homeAt(b)
		b.stop()
		for a.ringer.Home(c[0]) == "b" { // until Redis knows that b has gone
			a.ringer.Spilled(c)
			check(t, a.ringer.Flush(ctx))
		}
		third.expect(t, fmt.Sprint("rung a", c)) // it is the home now, or a is, which is full
	})
}

// TestRingEarlierVersions: dispatchers of earlier versions hear of all copies, where they always did, and only they.
func TestRingEarlierVersions(t *testing.T) {
	t.Parallel()
	streamstest.Each(t, func(t *testing.T, env *streamstest.Env) {
		sc := newScene(t, env)
		a, b := hears(t, env, env.Config("a")), hears(t, env, env.Config("b"))
		meet(t, a, b)
		heard := sc.Client.Subscribe(sc.Ctx, "medis:control")
		defer func() { _ = heard.Close() }()
		must[any](t)(heard.Receive(sc.Ctx))
		a.ringer.Copied(0, []string{"s"})
		quiet(t, a, b)
		if m := must[any](t)(heard.Receive(sc.Ctx)); !strings.Contains(fmt.Sprint(m), "due ") {
			t.Errorf("heard %v, and no dispatcher of an earlier version is there", m)
		}

		check(t, sc.Client.Do(sc.Ctx, "ZADD", "medis:dispatchers", time.Now().UnixMilli(), "early").Err())
		check(t, sc.Client.Set(sc.Ctx, "medis:dispatcher:early", `{"version":"1","dead_after_ns":60000000000}`, 0).Err())
		meet(t, a, b)
		a.ringer.Copied(0, []string{"s", "t"})
		m := must[any](t)(heard.Receive(sc.Ctx))
		text := strings.TrimSuffix(strings.TrimPrefix(fmt.Sprint(m), "Message<medis:control: "), ">")
		// This is how they read it.
		var what, from, subs string
		var p int
		if n, err := fmt.Sscanf(text, "%s %s %d %s", &what, &from, &p, &subs); n != 4 || err != nil || what != "ready" || from != "a" || p != 0 ||
			!slices.Equal(slices.Sorted(strings.SplitSeq(subs, ",")), []string{"s", "t"}) {
			t.Errorf("they read %q %q %d %q (%v)", what, from, p, subs, err)
		}
		quiet(t, a, b)
	})
}

// TestRingWithFewRights: a user that may use medis:control alone, as the documentation had it, is rung there.
func TestRingWithFewRights(t *testing.T) {
	t.Parallel()
	env := streamstest.Real(t)
	ctx := t.Context()
	args := []any{"ACL", "SETUSER", "few", "on", ">pw", "resetkeys", "resetchannels", "~medis:*", "&medis:control", "+@all", "-@admin", "-@dangerous", "+info"}
	check(t, env.Client.Do(ctx, args...).Err())
	few := func(id string) *ears {
		cfg := env.Config(id)
		cfg.URL = strings.Replace(cfg.URL, "://", "://few:pw@", 1)
		return hears(t, env, cfg)
	}
	all := []*ears{few("a"), few("b"), few("c")}
	meet(t, all...)
	c := homeAt(all[1])
	all[0].ringer.Spilled(c)
	all[1].expect(t, fmt.Sprint("rung a", c))
	quiet(t, all...)
}

// TestRingShares: of a subscription whose limits are divided, those are rung that have a share, for new messages as for due ones.
func TestRingShares(t *testing.T) {
	t.Parallel()
	streamstest.Each(t, func(t *testing.T, env *streamstest.Env) {
		a, b, c := hears(t, env, env.Config("a")), hears(t, env, env.Config("b")), hears(t, env, env.Config("c"))
		shares := []medispatcher.Share{{Dispatcher: "b", Pushes: 2}, {Dispatcher: "c", Retries: 1}}
		for _, e := range []*ears{a, b, c} {
			e.ringer.Divide(func(sub string) []medispatcher.Share {
				if sub == "plain" {
					return nil
				}
				return shares
			})
		}
		meet(t, a, b, c)
		for i := range 20 { // whoever would be the home of each
			channel := medispatcher.Channel{Subscription: fmt.Sprint("s", i)}
			a.ringer.Spilled([]medispatcher.Channel{channel})
			b.expect(t, fmt.Sprint("rung a", []medispatcher.Channel{channel}))
			a.ringer.Due([]medispatcher.Channel{channel, {Subscription: "plain"}})
			c.expect(t, fmt.Sprint("due ", []medispatcher.Channel{channel}))
			b.ringer.Spilled([]medispatcher.Channel{channel}) // nobody else has a share
		}
		quiet(t, a, b, c)
	})
}

// TestHintsOfTheList: a dispatcher is told that another one says something new, and that one has ended.
func TestHintsOfTheList(t *testing.T) {
	t.Parallel()
	streamstest.Each(t, func(t *testing.T, env *streamstest.Env) {
		a, b := env.Open(t, env.Config("a")), env.Open(t, env.Config("b"))
		heard, listening := make(chan string, 10), make(chan struct{}, 10)
		ctx, cancel := context.WithCancel(t.Context())
		var g errgroup.Group
		g.Go(func() error {
			return b.Listen(ctx, streams.Hints{
				Changed: func() { listening <- struct{}{} },
				Listed:  func() { heard <- "listed" },
				Left:    func(id string) { heard <- "left " + id },
			})
		})
		t.Cleanup(func() { cancel(); _ = g.Wait() })
		<-listening
		check(t, b.RingListed(t.Context())) // its own
		check(t, a.RingListed(t.Context()))
		check(t, a.Leave(t.Context()))
		for _, want := range []string{"listed", "left a"} {
			if got := <-heard; got != want {
				t.Errorf("heard %q, want %q", got, want)
			}
		}
	})
}

// TestLostDivision: where Redis has an earlier info of a dispatcher, its next heartbeats write it again.
func TestLostDivision(t *testing.T) {
	t.Parallel()
	streamstest.Each(t, func(t *testing.T, env *streamstest.Env) {
		a := env.Open(t, env.Config("a"))
		beat := func() string {
			t.Helper()
			check(t, a.Heartbeat(t.Context(), medispatcher.Dispatcher{Version: "2", DeadAfter: time.Minute, Division: "new"}))
			return must[[]medispatcher.Dispatcher](t)(a.Dispatchers(t.Context()))[0].Division
		}
		if got := beat(); got != "new" {
			t.Errorf("the division is %q", got)
		}
		const book = "medis:book:{medis:dispatchers}"
		check(t, env.Client.HSet(t.Context(), book, "a", `{"version":"2","dead_after_ns":60000000000,"division":"old"}`, "~page", "old").Err())
		if got := beat(); got != "old" {
			t.Errorf("the division is %q", got)
		}
		if got := beat(); got != "new" {
			t.Errorf("the division is %q", got)
		}
	})
}
