package streams

import (
	"hash/fnv"
	"math/rand/v2"
	"strconv"
	"sync"
	"time"

	"github.com/solate/medispatcher"
)

// Each channel has a home among the living dispatchers, the one with the highest weight for it (rendezvous hashing). All
// compute the same one without asking anybody, and a dispatcher that joins or leaves changes the home of those channels alone
// that it gets or had.

// peer is a dispatcher that may be rung.
type peer struct {
	id   string
	bell string // the pub/sub channel that it hears
	hash uint64
}

// homes are the dispatchers that may be a channel's home, as this process knows them.
type homes struct {
	me string

	// takes is who takes messages of a subscription; nil: all do.
	takes func(sub string) func(id string) bool

	mu    sync.Mutex
	peers []peer // this dispatcher is not among them
	early bool   // a dispatcher lives that has no doorbell: its version is an earlier one
	deaf  map[string]time.Time
}

// deafFor is how long a dispatcher that did not hear a ring is left out. It is leaving, or connects anew.
const deafFor = 2 * time.Second

// note takes the list of dispatchers. A silent one is no home long before it counts as dead.
func (h *homes) note(list []medispatcher.Dispatcher, now time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.peers, h.early = nil, false
	for i := range list {
		switch d := &list[i]; {
		case d.ID == h.me || !d.Alive || d.Leaving:
		case d.Doorbell == "":
			h.early = true
		case now.Sub(d.Heartbeat) < d.DeadAfter/2:
			h.peers = append(h.peers, peer{d.ID, d.Doorbell, hashOf(d.ID)})
		}
	}
}

// choose returns the dispatcher with the highest weight for a channel among those that may be rung and take its messages. ok is
// false if that is this one, or if there is none. Without may all may.
func (h *homes) choose(c medispatcher.Channel, may func(id string) bool) (best peer, ok bool) {
	takes := h.takers(c.Subscription)
	h.mu.Lock()
	defer h.mu.Unlock()
	channel := hashOf(strconv.Itoa(c.Partition) + "/" + c.Subscription)
	most := uint64(0)
	if may == nil && (takes == nil || takes(h.me)) {
		most = weigh(hashOf(h.me), channel)
	}
	for _, p := range h.peers {
		if time.Now().Before(h.deaf[p.id]) || may != nil && !may(p.id) || takes != nil && !takes(p.id) {
			continue
		}
		if w := weigh(p.hash, channel); w > most {
			best, most, ok = p, w, true
		}
	}
	return best, ok
}

// takers is who takes messages of a subscription; nil: all do.
func (h *homes) takers(sub string) func(id string) bool {
	if h.takes == nil {
		return nil
	}
	return h.takes(sub)
}

// any returns one of the dispatchers that may be rung.
func (h *homes) any(may func(id string) bool) (p peer, ok bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	n := 0
	for _, other := range h.peers {
		if !time.Now().Before(h.deaf[other.id]) && may(other.id) {
			if n++; rand.IntN(n) == 0 {
				p = other
			}
		}
	}
	return p, n > 0
}

// home returns the home of a channel. ok is false if that is this dispatcher.
func (h *homes) home(c medispatcher.Channel) (peer, bool) { return h.choose(c, nil) }

// unheard notes that a dispatcher did not hear a ring.
func (h *homes) unheard(id string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.deaf == nil {
		h.deaf = map[string]time.Time{}
	}
	now := time.Now()
	for other, until := range h.deaf {
		if until.Before(now) {
			delete(h.deaf, other)
		}
	}
	h.deaf[id] = now.Add(deafFor)
}

func (h *homes) anyEarly() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.early
}

// HomeOf is the dispatcher with the highest weight for a subscription, among some; "" if there is none. All choose the same one.
func HomeOf(sub string, ids []string) (home string) {
	channel, most := hashOf(sub), uint64(0)
	for _, id := range ids {
		if w := weigh(hashOf(id), channel); w > most || home == "" {
			home, most = id, w
		}
	}
	return home
}

// hashOf and weigh are the same in every version: dispatchers of several versions have to agree.
func hashOf(s string) uint64 {
	f := fnv.New64a()
	_, _ = f.Write([]byte(s))
	return f.Sum64()
}

// weigh mixes two hashes as splitmix64 does. FNV alone is too regular: one dispatcher would be the home of most channels.
func weigh(dispatcher, channel uint64) uint64 {
	x := dispatcher ^ (channel + 0x9e3779b97f4a7c15)
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
