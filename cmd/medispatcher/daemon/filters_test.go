package daemon

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"reflect"
	"strings"
	"testing"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/streams"
)

type filterBook struct {
	written map[int]map[string]streams.FilterCounts
	shown   map[string]streams.FilterCounts
}

func (b *filterBook) AddFilterCounts(_ context.Context, p int, counts map[string]streams.FilterCounts) error {
	b.written[p] = counts
	return nil
}

func (b *filterBook) Filtered(sub string, c streams.FilterCounts) { b.shown[sub] = c }

type usedFilter struct{ used chan bool }

func (u usedFilter) Match(*medispatcher.Subject) (bool, error) { u.used <- true; return false, nil }

// TestNewFiltersAreMadeReady: a filter is used once when its subscription gets it, so that no message waits until it is compiled.
func TestNewFiltersAreMadeReady(*testing.T) {
	u := usedFilter{make(chan bool, 1)}
	f := &filters{}
	f.apply([]medispatcher.SubscriptionChange{{Now: &medispatcher.Subscription{ID: "a", Filter: "x", Matcher: u}}})
	<-u.used
}

// TestFiltersAreCounted: what filters did is written at the end at the latest, and a filter that fails is told once, until it is changed.
func TestFiltersAreCounted(t *testing.T) {
	var log bytes.Buffer
	b := &filterBook{map[int]map[string]streams.FilterCounts{}, map[string]streams.FilterCounts{}}
	f := &filters{store: b, metrics: b, log: slog.New(slog.NewTextHandler(&log, nil))}
	subs := []string{"a", "b", "c"}
	const yes, no, fails = medispatcher.Matched, medispatcher.Filtered, medispatcher.Undecided
	f.judged(0, subs, []medispatcher.Verdict{yes, no, fails})
	f.judged(1, subs, []medispatcher.Verdict{yes, no, no})
	f.judged(1, subs, nil)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	f.write(ctx)
	if err := f.Run(ctx); err != nil {
		t.Fatal(err)
	}
	want := map[int]map[string]streams.FilterCounts{0: {"b": {Filtered: 1}, "c": {Failed: 1}}, 1: {"b": {Filtered: 1}, "c": {Filtered: 1}}}
	if !reflect.DeepEqual(b.written, want) || b.shown["b"].Filtered != 2 || b.shown["c"] != (streams.FilterCounts{Filtered: 1, Failed: 1}) {
		t.Errorf("written %v, shown %v", b.written, b.shown)
	}

	was, now := &medispatcher.Subscription{ID: "a", Filter: "x"}, &medispatcher.Subscription{ID: "a", Filter: "y"}
	m := &medispatcher.Message{ID: "m1", Topic: "order.created"}
	for range 3 {
		f.failed(m, "a", errors.New("no such key: total\nhint"))
	}
	f.apply([]medispatcher.SubscriptionChange{{Was: now, Now: now}})
	f.failed(m, "a", errors.New("again"))
	if told := log.String(); strings.Count(told, "\n") != 1 || !strings.Contains(told, `subscription=a topic=order.created id=m1 error="no such key: total"`) {
		t.Errorf("told %s", told)
	}
	f.apply([]medispatcher.SubscriptionChange{{Was: was, Now: now}})
	f.failed(m, "a", errors.New("again"))
	if told := log.String(); strings.Count(told, "\n") != 2 {
		t.Errorf("told %s", told)
	}
}
