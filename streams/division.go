package streams

import (
	"cmp"
	"hash/fnv"
	"slices"
	"strconv"
	"strings"

	"github.com/solate/medispatcher"
)

// Division is among whom the limits of subscriptions are divided whose scope is the cluster. All dispatchers that have the same
// one know the share of each without asking anybody.
type Division struct {
	name    string
	members []member // by id
	unknown bool     // who they are, but for their number
	size    int
}

type member struct {
	id, env string
	hash    uint64
}

// NewDivision divides among some dispatchers.
func NewDivision(among []medispatcher.Dispatcher) Division {
	var d Division
	for i := range among {
		d.members = append(d.members, member{among[i].ID, among[i].Env, hashOf(among[i].ID)})
	}
	slices.SortFunc(d.members, func(x, y member) int { return cmp.Compare(x.id, y.id) })
	f := fnv.New64a()
	for _, m := range d.members {
		_, _ = f.Write([]byte(m.id + " " + m.env + "\n"))
	}
	d.size = len(d.members)
	d.name = strconv.Itoa(d.size) + "-" + strconv.FormatUint(f.Sum64(), 16)
	return d
}

// Dividing is how those of some dispatchers that live divide limits.
func (s *Store) Dividing(among []medispatcher.Dispatcher) func(sub *medispatcher.Subscription) []medispatcher.Share {
	return NewDivision(slices.DeleteFunc(slices.Clone(among), func(d medispatcher.Dispatcher) bool { return !d.Alive || !d.Shares() })).Shares
}

// DivisionNamed is the division that another dispatcher goes by. Where it is not among those that are known, its shares are as large as
// they may be.
func DivisionNamed(name string, known []Division) Division {
	if i := slices.IndexFunc(known, func(d Division) bool { return d.name == name }); i >= 0 {
		return known[i]
	}
	size, _, _ := strings.Cut(name, "-")
	n, _ := strconv.Atoi(size)
	return Division{name: name, unknown: true, size: max(1, n)}
}

// String is the same for the same dispatchers.
func (d Division) String() string { return d.name }

// Share is the share of one dispatcher. The shares of all add up to the limits of the subscription. Where it has an interval, one
// dispatcher has all: two could not keep the interval between their pushes. A dispatcher for whose environment the
// subscription has no worker URL has nothing, unless there is none for anybody.
func (d Division) Share(sub *medispatcher.Subscription, id string) medispatcher.Share {
	if !sub.Divided() {
		return medispatcher.Share{Dispatcher: id, Pushes: sub.Concurrency, Retries: sub.RetryConcurrency}
	}
	if d.unknown {
		return d.most(sub, id)
	}
	takes := d.takers(sub)
	mine, found := slices.BinarySearchFunc(d.members, id, func(m member, id string) int { return cmp.Compare(m.id, id) })
	if !found || !takes(&d.members[mine]) {
		return medispatcher.Share{Dispatcher: id}
	}
	channel := hashOf(sub.ID)
	weight := weigh(d.members[mine].hash, channel)
	rank, n := 0, 0
	for i := range d.members {
		if m := &d.members[i]; takes(m) {
			n++
			if w := weigh(m.hash, channel); w > weight || w == weight && i < mine {
				rank++
			}
		}
	}
	return shareOf(sub, id, rank, n)
}

// most is the largest share that there can be. Where only some have a worker URL, there is no telling how many divide.
func (d Division) most(sub *medispatcher.Subscription, id string) medispatcher.Share {
	if slices.ContainsFunc(sub.URLs, untagged) {
		return shareOf(sub, id, 0, d.size)
	}
	return shareOf(sub, id, 0, 1)
}

// Shares are the shares of all of them, by id.
func (d Division) Shares(sub *medispatcher.Subscription) []medispatcher.Share {
	list := make([]medispatcher.Share, len(d.members))
	for i := range d.members {
		list[i].Dispatcher = d.members[i].id
	}
	takes, channel := d.takers(sub), hashOf(sub.ID)
	var order []int
	for i := range d.members {
		if takes(&d.members[i]) {
			order = append(order, i)
		}
	}
	slices.SortStableFunc(order, func(x, y int) int {
		return cmp.Compare(weigh(d.members[y].hash, channel), weigh(d.members[x].hash, channel))
	})
	for rank, i := range order {
		list[i] = shareOf(sub, list[i].Dispatcher, rank, len(order))
	}
	return list
}

// shareOf is the share of the one with a rank among n: the one with the highest weight is the first (see homes.go). One that joins or
// leaves does not change the order of the others.
func shareOf(sub *medispatcher.Subscription, id string, rank, n int) medispatcher.Share {
	switch {
	case !sub.Divided() || sub.Interval > 0 && rank == 0:
		return medispatcher.Share{Dispatcher: id, Pushes: sub.Concurrency, Retries: sub.RetryConcurrency}
	case sub.Interval > 0:
		return medispatcher.Share{Dispatcher: id}
	}
	return medispatcher.Share{Dispatcher: id, Pushes: part(sub.Concurrency, rank, n), Retries: part(sub.RetryConcurrency, rank, n)}
}

// part divides a limit by n. Those of the first ranks get what is left over.
func part(limit, rank, n int) int {
	if rank < limit%n {
		return limit/n + 1
	}
	return limit / n
}

// takers are those that may push messages of a subscription.
func (d Division) takers(sub *medispatcher.Subscription) func(m *member) bool {
	var tags []string
	if !slices.ContainsFunc(sub.URLs, untagged) {
		for _, u := range sub.URLs {
			tag, _ := medispatcher.SplitURL(u)
			tags = append(tags, tag)
		}
	}
	for i := range d.members {
		if slices.Contains(tags, d.members[i].env) {
			return func(m *member) bool { return slices.Contains(tags, m.env) }
		}
	}
	return func(*member) bool { return true }
}

// untagged reports whether a worker URL is for every environment.
func untagged(u string) bool {
	tag, _ := medispatcher.SplitURL(u)
	return tag == ""
}
