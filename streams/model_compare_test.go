package streams_test

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"pgregory.net/rapid"

	"github.com/solate/medispatcher"
)

// compare compares Redis with the model.
func (w *world) compare(*rapid.T) {
	if !w.touched {
		return
	}
	w.touched = false
	s := w.look()
	problems := s.problems
	expect := func(name string, want *place) {
		got, there := s.places[name]
		delete(s.places, name)
		if want.entry == "" {
			want.entry = got.entry
		}
		if w.Mini == nil && want.due > 0 && got.due > 0 && max(want.due-got.due, got.due-want.due) < time.Minute.Milliseconds() {
			want.due = got.due // the clock of redis-server goes on by itself
		}
		if !there || got != *want {
			text := "nowhere"
			if there {
				text = got.String()
			}
			problems = append(problems, fmt.Sprintf("%s is %s; it should be %s", name, text, want))
		}
	}
	for _, m := range w.arrivals {
		switch {
		case m.where == placeIncoming, m.result == "quarantined":
			expect(m.name(), &m.place)
		case m.result == "unroutable":
			expect("unrouted "+m.name(), &m.place)
		case m.where == placeDelayed:
			expect("delayed in "+strconv.Itoa(m.p)+" as "+m.first, &m.place)
		}
	}
	for _, c := range w.copies {
		if c.where == placeDeleted {
			continue
		}
		expect(c.name(), &c.place)
		if c.pending() && c.failed != s.records[c.name()] {
			problems = append(problems, fmt.Sprintf("%s has a failure record: %t", c.name(), !c.failed))
		}
	}
	for name, at := range s.places {
		problems = append(problems, fmt.Sprintf("%s is %s; it should be nowhere", name, at))
	}
	if !maps.Equal(s.counts, w.counts) {
		problems = append(problems, fmt.Sprintf("counts are %v; they should be %v", s.counts, w.counts))
	}
	if !maps.Equal(s.groups, w.groups) {
		problems = append(problems, fmt.Sprintf("groups are %v; they should be %v", s.groups, w.groups))
	}
	slices.Sort(problems)
	w.require(len(problems) == 0, "Redis and the model differ:\n%s", strings.Join(problems, "\n"))
}

// byEntry orders by stream id.
func byEntry(a, b string) int {
	split := func(id string) (ms, seq uint64) {
		_, _ = fmt.Sscanf(id, "%d-%d", &ms, &seq)
		return ms, seq
	}
	ams, aseq := split(a)
	bms, bseq := split(b)
	return cmp.Or(cmp.Compare(ams, bms), cmp.Compare(aseq, bseq))
}

// copiesAt lists the copies of a channel for which at is true, the oldest entry first.
func (w *world) copiesAt(ch medispatcher.Channel, at func(*copyOf) bool) []*copyOf {
	var list []*copyOf
	for _, c := range w.copies {
		if c.Channel == ch && at(c) {
			list = append(list, c)
		}
	}
	slices.SortFunc(list, func(a, b *copyOf) int { return byEntry(a.entry, b.entry) })
	return list
}

// copyWith is the copy with this entry in a channel; nil if it is gone.
func (w *world) copyWith(ch medispatcher.Channel, entry string) *copyOf {
	for _, c := range w.copies {
		if c.Channel == ch && c.entry == entry && (c.where == placeReady || c.pending()) {
			return c
		}
	}
	return nil
}
