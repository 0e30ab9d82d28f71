package push

import (
	"fmt"
	"testing"
)

// TestInflightFindsWhatIsLost: of the entries that Redis says this process owns, one is lost once no read can bring it any more.
func TestInflightFindsWhatIsLost(t *testing.T) {
	t.Parallel()
	// Each case compares, with the answer of Redis in between.
	for name, c := range map[string]struct {
		before, asked, answered func(f *inflight) // what happens before Redis is asked, before its answer, and after it
		mine                    []string
		lost                    string
		over                    bool
	}{
		"unknown":                   {mine: []string{"1"}, lost: "[1]", over: true},
		"nothing is owned":          {lost: "[]", over: true},
		"known before":              {before: func(f *inflight) { f.took("1", &job{}) }, mine: []string{"1"}, lost: "[]", over: true},
		"read meanwhile":            {asked: func(f *inflight) { f.took("1", &job{}) }, mine: []string{"1"}, lost: "[]", over: true},
		"read after the answer":     {answered: func(f *inflight) { f.took("1", &job{}) }, mine: []string{"1"}, lost: "[]", over: true},
		"settled meanwhile":         {before: func(f *inflight) { f.took("1", &job{}) }, asked: func(f *inflight) { f.settled("1") }, mine: []string{"1"}, lost: "[]", over: true},
		"a fresh read is under way": {before: func(f *inflight) { f.fresh.begin() }, mine: []string{"1"}, lost: "[]"},
		"a due read is under way":   {asked: func(f *inflight) { f.due.begin() }, mine: []string{"1"}, lost: "[]"},
		"the read ended":            {before: func(f *inflight) { f.fresh.begin() }, answered: func(f *inflight) { f.fresh.end() }, mine: []string{"1"}, lost: "[1]", over: true},
		"another read began":        {before: func(f *inflight) { f.fresh.begin() }, answered: func(f *inflight) { f.fresh.end(); f.fresh.begin() }, mine: []string{"1"}, lost: "[1]", over: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newInflight()
			do := func(step func(*inflight)) {
				if step != nil {
					step(&f)
				}
			}
			do(c.before)
			asked, ok := f.ask()
			if !ok {
				t.Fatal("the comparison did not begin")
			}
			do(c.asked)
			f.answered(asked, c.mine)
			do(c.answered)
			lost, over := f.lost()
			if fmt.Sprint(lost) != c.lost || over != c.over {
				t.Errorf("lost %v, over %t; want %s, %t", lost, over, c.lost, c.over)
			}
		})
	}
}

// TestInflightComparesUntilNothingIsInDoubt: after a read, and twice after a read that failed.
func TestInflightComparesUntilNothingIsInDoubt(t *testing.T) {
	t.Parallel()
	f := newInflight()
	compare := func(mine ...string) {
		t.Helper()
		asked, ok := f.ask()
		if !ok {
			t.Fatal("the comparison did not begin")
		}
		f.answered(asked, mine)
	}
	if f.uncompared() {
		t.Error("nothing was read, and a comparison is asked for")
	}
	f.fresh.begin()
	compare() // says nothing while the read is under way
	f.fresh.end()
	if !f.uncompared() {
		t.Error("no comparison is asked for after a read")
	}
	compare()
	if f.uncompared() {
		t.Error("a comparison is asked for, and there was no read since the last")
	}
	f.failed()
	for range suspectLooks {
		if !f.uncompared() {
			t.Errorf("after a read that failed, fewer than %d comparisons are asked for", suspectLooks)
		}
		compare()
	}
	if f.uncompared() {
		t.Errorf("after a read that failed, more than %d comparisons are asked for", suspectLooks)
	}
}

// TestInflightDoesNotTakeWhatItReleases: a due read that began before an entry was released may bring it.
func TestInflightDoesNotTakeWhatItReleases(t *testing.T) {
	t.Parallel()
	f := newInflight()
	f.due.begin()
	asked, _ := f.ask()
	f.answered(asked, []string{"1"})
	f.due.end()
	lost, _ := f.lost()
	f.due.begin()
	if !f.wasReleased("1") || f.wasReleased("2") {
		t.Error("while 1 is being released, a due read may take 2 and not 1")
	}
	f.released(lost)
	if !f.wasReleased("1") {
		t.Error("the due read began before 1 was released, and may take it")
	}
	f.due.end()
	f.forgetReleased()
	f.due.begin()
	if f.wasReleased("1") {
		t.Error("the due read began after 1 was released, and may not take it")
	}
}
