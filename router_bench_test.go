package medispatcher

import (
	"fmt"
	"runtime"
	"strconv"
	"strings"
	"testing"
)

// many makes n subscriptions. A # in the topic stands for the number of each.
func many(n int, topic string) []Subscription {
	subs := make([]Subscription, n)
	for i := range subs {
		subs[i] = Subscription{ID: fmt.Sprintf("s%05d", i), Topic: strings.ReplaceAll(topic, "#", strconv.Itoa(i))}
	}
	return subs
}

// BenchmarkRoute routes topics: "known" ones over and over, "new" ones of which none comes twice.
func BenchmarkRoute(b *testing.B) {
	few := []Subscription{{ID: "billing", Topic: "order.created"}, {ID: "audit", Topic: ">"}, {ID: "mail", Topic: "order.*"}}
	for _, bc := range []struct {
		name  string
		subs  []Subscription
		topic func(i int) string
	}{
		{"known/exact=3", few[:1], func(int) string { return "order.created" }},
		{"known/patterns=2", few, func(int) string { return "order.created" }},
		{"known/exact=10000", many(10_000, "order.t#"), func(int) string { return "order.t777" }},
		{"new/patterns=10000", many(10_000, "t#.*"), func(i int) string { return fmt.Sprintf("t%d.x%d", i%20_000, i) }},
		{"new/everything=1000", many(1000, ">"), func(i int) string { return fmt.Sprintf("a.x%d", i) }},
	} {
		b.Run(bc.name, func(b *testing.B) {
			r := NewRouter(bc.subs)
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				r.Route(bc.topic(i))
			}
		})
	}
}

// BenchmarkRouterMemory has 1,000 subscriptions of every topic, 10,000 topics that have one more, and routes a message of each.
func BenchmarkRouterMemory(b *testing.B) {
	subs := append(many(1000, ">"), many(10_000, "order.t#")...)
	for i := range subs {
		subs[i].ID = fmt.Sprintf("s%05d", i)
	}
	heap := func() int64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	for b.Loop() {
		before := heap()
		r := NewRouter(subs)
		for _, s := range subs[1000:] {
			r.Route(s.Topic)
		}
		b.ReportMetric(float64(heap()-before)/1e6, "MB-kept")
		runtime.KeepAlive(r)
	}
	runtime.KeepAlive(subs)
}

// BenchmarkRouterChange changes the pattern of one subscription of many, and routes.
func BenchmarkRouterChange(b *testing.B) {
	for _, n := range []int{10_000, 100_000} {
		b.Run(fmt.Sprint("all=", n), func(b *testing.B) {
			subs := NewSubscriptions(many(n, "order.t#.*")...)
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				s := Subscription{ID: fmt.Sprintf("s%05d", i%n), Topic: "order.t" + strconv.Itoa(i) + ".x"}
				subs = subs.With([]*Subscription{&s}, nil)
				subs.Router().Route("order.t1.x")
			}
		})
	}
}
