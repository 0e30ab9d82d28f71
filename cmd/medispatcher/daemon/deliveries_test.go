package daemon

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/solate/medispatcher"
)

func ended(sub string, n int, outcome medispatcher.Outcome) (*medispatcher.Delivery, *medispatcher.Settlement) {
	d := &medispatcher.Delivery{
		Channel: medispatcher.Channel{Subscription: sub}, EntryID: fmt.Sprint(n, "-0"), Attempt: 1,
		Message: medispatcher.Message{ID: fmt.Sprint("m", n), Topic: "a.b"},
	}
	s := &medispatcher.Settlement{Outcome: outcome, Took: time.Millisecond, Status: 200, Target: "http://h/", Answer: []byte("ok " + fmt.Sprint(n))}
	if outcome != medispatcher.Sent {
		s.Status, s.Failure = 500, &medispatcher.Failure{LastError: "status 500"}
	}
	return d, s
}

// TestDeliveriesAreSampled: what is listed of a subscription in one round does not depend on how much there was. The latest
// attempt is always there.
func TestDeliveriesAreSampled(t *testing.T) {
	l := &deliveries{dispatcher: "host-1-abcd"}
	note := func(sub string, from, n int, o medispatcher.Outcome) {
		for i := range n {
			d, s := ended(sub, from+i, o)
			l.note(d, s, time.UnixMilli(int64(1000+from+i)))
		}
	}
	note("busy", 0, 1000, medispatcher.Sent)
	note("busy", 1000, 100, medispatcher.Failed)
	note("busy", 1100, 50, medispatcher.Sent)
	note("quiet", 1, 1, medispatcher.Exhausted)
	note("quiet", 2, 1, medispatcher.Released)
	taken := l.take(1)
	if len(taken) != 1 || taken[0].Subscription != "busy" || l.listed != 1 || len(l.of) != 1 {
		t.Fatalf("%d of %v, %d left", len(taken), taken, l.listed)
	}
	var names []string
	for _, a := range taken[0].Ended {
		names = append(names, strings.TrimPrefix(a.Message, "m"))
	}
	want := []string{"0", "1", "2"}
	for i := range 20 {
		want = append(want, fmt.Sprint(1000+i))
	}
	want = append(want, "1149")
	last := taken[0].Ended[len(taken[0].Ended)-1]
	if !slices.Equal(names, want) {
		t.Errorf("got %v, want %v", names, want)
	}
	if last.Unlisted != 997+80+50-1 || last.Answer != "ok 1149" || last.Entry != "1149-0" || last.Topic != "a.b" || last.ID != "2149-abcd-25" || last.Dispatcher != "host-1-abcd" {
		t.Errorf("the latest: %+v", last)
	}
	quiet := l.take(10)
	if len(quiet) != 1 || len(quiet[0].Ended) != 1 || quiet[0].Ended[0].Outcome != "dead" || len(l.of)+len(l.queue)+l.listed != 0 {
		t.Errorf("%+v, left %+v", quiet, l)
	}
	if l.take(10); len(l.take(10)) != 0 {
		t.Error("there is something where nothing happened")
	}
}

// TestDeliveriesAreBounded: many busy subscriptions share the room.
func TestDeliveriesAreBounded(t *testing.T) {
	l := &deliveries{dispatcher: "d"}
	for i := range maxRecent + 10 {
		for range 5 {
			d, s := ended(fmt.Sprint(i), i, medispatcher.Failed)
			l.note(d, s, time.Now())
		}
	}
	if len(l.of) != maxRecent || len(l.queue) != maxRecent || l.listed != maxListed {
		t.Errorf("%d subscriptions, %d attempts", len(l.of), l.listed)
	}
}

// BenchmarkDeliveriesNote is what an attempt of a busy subscription costs.
func BenchmarkDeliveriesNote(b *testing.B) {
	l := &deliveries{dispatcher: "d"}
	d, s := ended("s", 1, medispatcher.Sent)
	now := time.Now()
	b.ReportAllocs()
	for b.Loop() {
		l.note(d, s, now)
	}
}
