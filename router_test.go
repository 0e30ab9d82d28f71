package medispatcher

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
)

// router makes one of "id topic" lines.
func router(lines ...string) *Router {
	var subs []Subscription
	for _, line := range lines {
		id, topic, _ := strings.Cut(line, " ")
		subs = append(subs, Subscription{ID: id, Topic: topic})
	}
	return NewRouter(subs)
}

func TestRoute(t *testing.T) {
	exact := []string{"mail order.created", "billing order.created", "users user.created"}
	patterns := slices.Concat(exact, []string{"zz order.*", "audit >", "aa order.>", "late *.created", "deep order.*.eu"})
	for _, tc := range []struct {
		name  string
		r     *Router
		topic string
		want  string
	}{
		{"nobody", router(), "order.created", ""},
		{"exact, sorted", router(exact...), "order.created", "billing mail"},
		{"exact, other topic", router(exact...), "user.created", "users"},
		{"exact, unknown", router(exact...), "order", ""},
		{"exact, case matters", router(exact...), "Order.created", ""},
		{"patterns and exact, sorted", router(patterns...), "order.created", "aa audit billing late mail zz"},
		{"patterns alone", router(patterns...), "order.paid.eu", "aa audit deep"},
		{"only everything", router(patterns...), "x", "audit"},
		{"pattern, none", router("a order.*"), "user.created", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := strings.Join(tc.r.Route(tc.topic), " "); got != tc.want {
				t.Errorf("%q, want %q", got, tc.want)
			}
		})
	}
}

// TestRouteOfLoadTests: a catch-all gets no load test unless it says so, however it is asked.
func TestRouteOfLoadTests(t *testing.T) {
	subs := []Subscription{
		{ID: "all", Topic: ">"}, {ID: "all-bench", Topic: ">", ReceiveBench: true},
		{ID: "any", Topic: "*.*"}, {ID: "any-bench", Topic: "*.*", ReceiveBench: true},
		{ID: "own", Topic: "bench.>"}, {ID: "own-one", Topic: "bench.*"}, {ID: "exact", Topic: "bench.0123456789ab"},
		{ID: "near", Topic: "benchmark.>"}, {ID: "level", Topic: "bench"}, {ID: "deep", Topic: "*.bench"}, {ID: "one", Topic: "*"},
	}
	r := NewRouter(subs)
	for topic, want := range map[string]string{
		"bench.0123456789ab":     "all-bench any-bench exact own own-one",
		"bench.0123456789a":      "all all-bench any any-bench own own-one",
		"bench.0123456789abc":    "all all-bench any any-bench own own-one",
		"bench.0123456789aB":     "all all-bench any any-bench own own-one",
		"bench.0123456789ab.c":   "all all-bench own",
		"bench.speed":            "all all-bench any any-bench own own-one",
		"bench":                  "all all-bench level one",
		"benchmark.0123456789ab": "all all-bench any any-bench near",
		"Bench.0123456789ab":     "all all-bench any any-bench",
		"a.bench":                "all all-bench any any-bench deep",
	} {
		if got := strings.Join(r.Route(topic), " "); got != want {
			t.Errorf("%s is routed to %q, want %q", topic, got, want)
		}
		var wanting []string
		for _, s := range subs {
			if s.Wants(topic) {
				wanting = append(wanting, s.ID)
			}
		}
		slices.Sort(wanting)
		if got := strings.Join(wanting, " "); got != want {
			t.Errorf("%s is wanted by %q, want %q", topic, got, want)
		}
	}
}

func TestRouterServesManyAtOnce(t *testing.T) {
	r := router("a order.*", "b order.7", "c >")
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for i := range 2000 {
				want := []string{"a", "c"}
				if i%100 == 7 {
					want = []string{"a", "b", "c"}
				}
				if got := r.Route(fmt.Sprintf("order.%d", i%100)); !slices.Equal(got, want) {
					t.Errorf("order.%d goes to %v", i%100, got)
					return
				}
			}
		})
	}
	wg.Wait()
}

func TestRouterNearest(t *testing.T) {
	r := NewRouter([]Subscription{
		{ID: "a", Topic: "order.created"}, {ID: "b", Topic: "order.paid"}, {ID: "c", Topic: "mail.*.sent"}, {ID: "d", Topic: "stock.>"}, {ID: "e", Topic: "a.b"},
	})
	for topic, want := range map[string]string{
		"order.craeted":     "order.created",
		"oder.created":      "order.created",
		"Order.Created":     "order.created",
		"order.paidd":       "order.paid",
		"ordercreated":      "order.created",
		"mail.weekly.snt":   "mail.weekly.sent",
		"stok.berlin.empty": "stock.berlin.empty",
		"x.y":               "",
		"mail":              "",
		"invoice.written":   "",
	} {
		if got := r.Nearest(topic); got != want {
			t.Errorf("nearest to %s: %q, want %q", topic, got, want)
		}
	}
	if near := NewRouter([]Subscription{{ID: "all", Topic: ">"}}).Nearest("bench.0123456789ab"); near != "" {
		t.Errorf("a topic is near to itself: %s", near)
	}
}
