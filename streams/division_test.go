package streams

import (
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/solate/medispatcher"
)

// divided is a subscription whose limits hold in all dispatchers together.
func divided(id string, concurrency, retries int) *medispatcher.Subscription {
	return &medispatcher.Subscription{
		ID: id, URLs: []string{"http://w"}, Scope: medispatcher.ScopeCluster, Concurrency: concurrency, RetryConcurrency: retries,
	}
}

// crew are n dispatchers.
func crew(n int) (list []medispatcher.Dispatcher) {
	for i := range n {
		list = append(list, medispatcher.Dispatcher{ID: fmt.Sprintf("host-%d-abcd", i)})
	}
	return list
}

// counts are the shares, the largest first.
func counts(list []medispatcher.Share, of func(*medispatcher.Share) int) (n []int) {
	for i := range list {
		n = append(n, of(&list[i]))
	}
	slices.Sort(n)
	slices.Reverse(n)
	return n
}

func TestShares(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		what        string
		dispatchers int
		change      func(sub *medispatcher.Subscription, crew []medispatcher.Dispatcher)
		pushes      []int
		retries     []int
	}{
		{"one has all", 1, nil, []int{8}, []int{2}},
		{"three", 3, nil, []int{3, 3, 2}, []int{1, 1, 0}},
		{"more than slots", 10, nil, []int{1, 1, 1, 1, 1, 1, 1, 1, 0, 0}, []int{1, 1, 0, 0, 0, 0, 0, 0, 0, 0}},
		{"an interval", 3, func(sub *medispatcher.Subscription, _ []medispatcher.Dispatcher) { sub.Interval = 1 }, []int{8, 0, 0}, []int{2, 0, 0}},
		{"limits of each dispatcher", 2, func(sub *medispatcher.Subscription, _ []medispatcher.Dispatcher) {
			sub.Scope = medispatcher.ScopeDispatcher
		}, []int{8, 8}, []int{2, 2}},
		{"one has no worker URL", 3, func(sub *medispatcher.Subscription, crew []medispatcher.Dispatcher) {
			sub.URLs = []string{"[T_ENV:PUB]http://w"}
			crew[0].Env, crew[2].Env = "PUB", "PUB"
		}, []int{4, 4, 0}, []int{1, 1, 0}},
		{"none has a worker URL", 2, func(sub *medispatcher.Subscription, _ []medispatcher.Dispatcher) {
			sub.URLs = []string{"[T_ENV:PUB]http://w"}
		}, []int{4, 4}, []int{1, 1}},
		{"a URL for all beside one that is tagged", 2, func(sub *medispatcher.Subscription, crew []medispatcher.Dispatcher) {
			sub.URLs = []string{"[T_ENV:PUB]http://w", "http://v"}
			crew[0].Env = "PUB"
		}, []int{4, 4}, []int{1, 1}},
	} {
		sub, among := divided("billing", 8, 2), crew(c.dispatchers)
		if c.change != nil {
			c.change(sub, among)
		}
		got := NewDivision(among).Shares(sub)
		if p := counts(got, func(s *medispatcher.Share) int { return s.Pushes }); !slices.Equal(p, c.pushes) {
			t.Errorf("%s: pushes %v, want %v", c.what, p, c.pushes)
		}
		if r := counts(got, func(s *medispatcher.Share) int { return s.Retries }); !slices.Equal(r, c.retries) {
			t.Errorf("%s: retries %v, want %v", c.what, r, c.retries)
		}
	}
}

// TestSharesAddUp: whoever divides whatever, all know the same shares, which add up to the limits. One who is not among them has
// nothing. When one leaves, no share of the others gets smaller.
func TestSharesAddUp(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		all := crew(rapid.IntRange(1, 40).Draw(t, "dispatchers"))
		for i := range all {
			all[i].Env = rapid.SampledFrom([]string{"", "A", "B"}).Draw(t, "env")
		}
		sub := divided(fmt.Sprint(rapid.Int().Draw(t, "id")), rapid.IntRange(1, 100).Draw(t, "concurrency"), rapid.IntRange(1, 10).Draw(t, "retries"))
		sub.URLs = rapid.SampledFrom([][]string{{"http://w"}, {"[T_ENV:A]http://w"}, {"[T_ENV:A]http://w", "[T_ENV:B]http://w"}}).Draw(t, "urls")
		if rapid.Bool().Draw(t, "interval") {
			sub.Interval = 1
		}
		d, shuffled := NewDivision(all), NewDivision(rapid.Permutation(all).Draw(t, "order"))
		if d.String() != shuffled.String() {
			t.Fatalf("%s and %s are the same dispatchers", d, shuffled)
		}
		pushes, retries := 0, 0
		for _, s := range d.Shares(sub) {
			if other := shuffled.Share(sub, s.Dispatcher); other != s {
				t.Fatalf("%+v and %+v", s, other)
			}
			most := DivisionNamed(d.String(), nil).Share(sub, s.Dispatcher)
			if most.Pushes < s.Pushes || most.Retries < s.Retries {
				t.Fatalf("who does not know the division believes in %+v, and it is %+v", most, s)
			}
			pushes += s.Pushes
			retries += s.Retries
		}
		if pushes != sub.Concurrency || retries != sub.RetryConcurrency {
			t.Fatalf("%d pushes and %d retries, of %d and %d", pushes, retries, sub.Concurrency, sub.RetryConcurrency)
		}
		gone := rapid.IntRange(0, len(all)-1).Draw(t, "gone")
		rest := NewDivision(slices.Delete(slices.Clone(all), gone, gone+1))
		if s := rest.Share(sub, all[gone].ID); s.Pushes+s.Retries > 0 {
			t.Fatalf("one that is gone has %+v", s)
		}
		if len(all) == 1 || rest.takersOf(sub) != d.takersOf(sub) && rest.takersOf(sub) != d.takersOf(sub)-1 {
			return // nobody is left that has a worker URL: those without share now
		}
		for _, now := range rest.Shares(sub) {
			if was := d.Share(sub, now.Dispatcher); now.Pushes < was.Pushes || now.Retries < was.Retries {
				t.Fatalf("without another one %+v becomes %+v", was, now)
			}
		}
	})
}

// takersOf is how many may push.
func (d Division) takersOf(sub *medispatcher.Subscription) (n int) {
	takes := d.takers(sub)
	for i := range d.members {
		if takes(&d.members[i]) {
			n++
		}
	}
	return n
}
