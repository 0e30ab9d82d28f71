package streams_test

import (
	"fmt"
	"slices"

	"pgregory.net/rapid"

	"github.com/solate/medispatcher"
)

// typed: somebody types a command that takes entries from their owner, or deletes them from a stream.
func (w *world) typed(t *rapid.T, ch medispatcher.Channel) {
	key := channelKey(ch.Partition, ch.Subscription)
	switch verb := rapid.SampledFrom([]string{"XACK", "XACK", "DELCONSUMER", "DELCONSUMER ~buried", "XDEL", "XACK incoming", "DELCONSUMER incoming"}).Draw(t, "typed"); verb {
	case "XACK":
		if list := w.copiesAt(ch, (*copyOf).pending); len(list) > 0 {
			c := rapid.SampledFrom(list).Draw(t, "copy")
			w.say("somebody types XACK of %s", c.name())
			w.ok(w.Client.XAck(w.ctx, key, "push", c.entry).Err())
			w.disown(c)
		}
	case "DELCONSUMER", "DELCONSUMER ~buried":
		owner := "~buried"
		if verb == "DELCONSUMER" {
			owner = w.one(t).id
		}
		if !w.groups[key] {
			return
		}
		w.say("somebody types XGROUP DELCONSUMER %s %s", key, owner)
		w.ok(w.Client.XGroupDelConsumer(w.ctx, key, "push", owner).Err())
		for _, c := range w.copiesAt(ch, (*copyOf).pending) {
			if c.owner == owner || c.where == placeRetrying && owner == "~buried" {
				w.disown(c)
			}
		}
	case "XDEL": // of a READY entry only: deletions of others are found by steps
		list := w.copiesAt(ch, func(c *copyOf) bool { return isReady(c) && !c.failed })
		if w.remade[key] || len(list) == 0 {
			return
		}
		c := rapid.SampledFrom(list).Draw(t, "copy")
		w.say("somebody types XDEL of %s", c.name())
		w.ok(w.Client.XDel(w.ctx, key, c.entry).Err())
		c.place, c.end = place{where: placeDeleted}, "taken out"
		w.robbed[ch] = true
	case "XACK incoming", "DELCONSUMER incoming":
		w.typedIncoming(t, verb)
	}
}

func (w *world) typedIncoming(t *rapid.T, verb string) {
	owned := slices.DeleteFunc(slices.Clone(w.arrivals), func(m *arrival) bool { return m.where != placeIncoming || m.owner == "" })
	if len(owned) == 0 {
		return
	}
	m := rapid.SampledFrom(owned).Draw(t, "message")
	key, owner := incomingKey(m.p), m.owner
	if verb == "XACK incoming" {
		w.say("somebody types XACK of %s", m.name())
		w.ok(w.Client.XAck(w.ctx, key, "fanout", m.entry).Err())
		m.owner, m.unowned = "", true
		return
	}
	w.say("somebody types XGROUP DELCONSUMER %s %s", key, owner)
	w.ok(w.Client.XGroupDelConsumer(w.ctx, key, "fanout", owner).Err())
	for _, other := range owned {
		if other.p == m.p && other.owner == owner {
			other.owner, other.unowned = "", true
		}
	}
}

// disown takes a copy from its owner. Its due time and its failure record stay.
func (w *world) disown(c *copyOf) {
	c.place, c.unowned = place{where: placeReady, entry: c.entry}, true
	w.remade[channelKey(c.Partition, c.Subscription)] = true
}

// giveBackUnowned: healing looks at a channel and an incoming stream.
func (w *world) giveBackUnowned(t *rapid.T, d *dispatcher) {
	w.setNow()
	if rapid.Bool().Draw(t, "incoming") {
		p := partition(t)
		r := w.try(t, d, fmt.Sprintf("looks for what nobody owns in incoming of %d", p), func() error {
			return second(d.store.UnownedIncoming(w.ctx, p, true, false))
		}, "evalsha")
		for _, m := range w.arrivals {
			if r.effect && m.p == p {
				w.adopted(m, d.id)
			}
		}
		return
	}
	ch := w.channel(t, func(c *copyOf) bool { return c.unowned })
	r := w.try(t, d, fmt.Sprintf("looks for what nobody owns in %s of %d", ch.Subscription, ch.Partition), func() error {
		return second(d.store.Unowned(w.ctx, ch, false))
	}, "evalsha")
	if !r.effect {
		return
	}
	places := w.look().places
	for _, c := range w.copiesAt(ch, func(c *copyOf) bool { return c.unowned }) {
		w.regained(c)
		c.due = places[c.name()].due // its own due time, or the one after the grace period
		w.require(c.due > 0, "%s was given back without a due time", c.name())
	}
}

// regained: a copy that nobody owned now belongs to ~buried, with the number of its next attempt.
func (w *world) regained(c *copyOf) {
	if !c.unowned {
		return
	}
	attempt := 1
	if c.failed {
		attempt = c.tried + 1
	}
	c.place, c.unowned = place{where: placeRetrying, attempt: attempt, entry: c.entry}, false
	w.count("unowned:" + c.Subscription)
}

// adopted: an arrival that nobody owned now belongs to the dispatcher that heals.
func (w *world) adopted(m *arrival, by string) {
	if m.unowned {
		m.owner, m.unowned = by, false
		w.count("unowned:~incoming")
	}
}
