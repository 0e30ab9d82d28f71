package streams_test

import (
	"fmt"
	"slices"
	"strconv"

	"pgregory.net/rapid"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/streams/streamstest"
)

// declareDead: one dispatcher declares another dead, rightly or not, and gives back what it owns.
func (w *world) declareDead(t *rapid.T) {
	held := slices.ContainsFunc(w.arrivals, func(m *arrival) bool { return m.owner != "" })
	if held && rapid.Bool().Draw(t, "incoming") {
		w.giveBackIncoming(t, w.one(t), partition(t), rapid.IntRange(1, 3).Draw(t, "limit"))
		return
	}
	w.some(t, isBuried)
	c := rapid.SampledFrom(w.owned()).Draw(t, "copy")
	d := w.one(t)
	if d.id == c.owner {
		return
	}
	w.giveBackFrom(t, d, c.Channel, c.owner, rapid.IntRange(1, 3).Draw(t, "limit"))
}

// owned are the copies that some dispatcher owns.
func (w *world) owned() (list []*copyOf) {
	for _, c := range w.copies {
		if c.where == placeBuried {
			list = append(list, c)
		}
	}
	return list
}

// repair: a dispatcher ends, entries without a due time are healed, and dispatchers give back what they
// own without knowing, or what a dead dispatcher owned, which may be nothing.
func (w *world) repair(t *rapid.T) {
	switch rapid.SampledFrom([]string{"end", "give back incoming", "reconcile", "heal", "give back", "unowned", "unowned", "audit", "audit"}).Draw(t, "repair") {
	case "end":
		w.end(t)
	case "give back incoming":
		w.giveBackIncoming(t, w.one(t), partition(t), rapid.IntRange(1, 3).Draw(t, "limit"))
	case "heal":
		w.heal(t, w.one(t), w.channel(t, func(c *copyOf) bool { return c.where == placeRetrying && c.due == 0 }))
	case "audit":
		w.audit(w.one(t), w.channel(t, func(*copyOf) bool { return true }))
	case "unowned":
		w.giveBackUnowned(t, w.one(t))
	case "reconcile":
		d := w.one(t)
		w.reconcile(t, d, w.channel(t, func(c *copyOf) bool { return c.where == placeBuried && c.owner == d.id }))
	case "give back":
		d := w.one(t)
		w.giveBackFrom(t, d, w.channel(t, isReady), w.other(t, d), 1)
	}
}

// audit: an idle channel leaves the active set. A busy one stays, as look checks.
func (w *world) audit(d *dispatcher, ch medispatcher.Channel) {
	if !w.robbed[ch] {
		w.touched = true
		w.say("%s audits %s of %d", d.id, ch.Subscription, ch.Partition)
		w.ok(d.store.AuditChannels(w.ctx, ch.Partition, []string{ch.Subscription}))
	}
}

// other is any dispatcher that was ever started, except this one.
func (w *world) other(t *rapid.T, d *dispatcher) string {
	var ids []string
	for i := range w.started {
		if id := "d" + strconv.Itoa(i+1); id != d.id {
			ids = append(ids, id)
		}
	}
	return rapid.SampledFrom(append(ids, "nobody")).Draw(t, "dead")
}

func (w *world) giveBackFrom(t *rapid.T, d *dispatcher, ch medispatcher.Channel, dead string, limit int) {
	w.setNow()
	var moved int
	var more bool
	r := w.try(t, d, fmt.Sprintf("gives back from %s in %s of %d", dead, ch.Subscription, ch.Partition), func() (err error) {
		moved, more, err = d.store.GiveBack(w.ctx, ch, dead, limit)
		return err
	}, "evalsha")
	if !r.effect {
		return
	}
	owned := w.copiesAt(ch, func(c *copyOf) bool { return c.where == placeBuried && c.owner == dead })
	n := min(limit, len(owned))
	for _, c := range owned[:n] {
		c.place = place{where: placeRetrying, attempt: c.attempt, due: dueNow, entry: c.entry}
	}
	w.require(!r.known || moved == n && more == (n < len(owned)), "%d given back, more: %t; it should be %d, %t", moved, more, n, n < len(owned))
}

func (w *world) giveBackIncoming(t *rapid.T, d *dispatcher, p, limit int) {
	dead := w.other(t, d)
	for _, m := range w.arrivals {
		if m.p == p && m.where == placeIncoming && m.owner != "" && m.owner != "~buried" && m.owner != d.id {
			dead = m.owner
		}
	}
	adopt := rapid.Bool().Draw(t, "adopt")
	to := "~buried"
	if adopt {
		to = d.id
		if rapid.Bool().Draw(t, "nobody's") {
			dead = "~buried"
		}
	}
	var moved int
	var more bool
	r := w.try(t, d, fmt.Sprintf("moves entries of %s in incoming of %d to %s", dead, p, to), func() (err error) {
		moved, more, err = d.store.GiveBackIncoming(w.ctx, p, dead, limit, adopt)
		return err
	}, "evalsha")
	if !r.effect {
		return
	}
	owned := w.queued(p, dead)
	n := min(limit, len(owned))
	for _, m := range owned[:n] {
		m.owner = to
	}
	w.require(!r.known || moved == n && more == (n < len(owned)), "%d given back, more: %t; it should be %d, %t", moved, more, n, n < len(owned))
}

func (w *world) heal(t *rapid.T, d *dispatcher, ch medispatcher.Channel) {
	w.setNow()
	var made int
	r := w.try(t, d, fmt.Sprintf("heals %s of %d", ch.Subscription, ch.Partition), func() (err error) {
		made, err = d.store.Orphans(w.ctx, ch, false, false)
		return err
	}, "evalsha")
	if !r.effect {
		return
	}
	orphans := w.copiesAt(ch, func(c *copyOf) bool { return c.where == placeRetrying && c.due == 0 })
	for _, c := range orphans {
		c.due = dueNow
	}
	w.require(!r.known || made == len(orphans), "%d healed; it should be %d", made, len(orphans))
}

func (w *world) reconcile(t *rapid.T, d *dispatcher, ch medispatcher.Channel) {
	w.setNow()
	var mine, want []string
	r := w.try(t, d, fmt.Sprintf("lists its own of %s of %d", ch.Subscription, ch.Partition), func() (err error) {
		mine, err = streamstest.Mine(w.ctx, d.store, ch, 100)
		return err
	}, "xpending")
	if !r.known {
		return
	}
	owned := w.copiesAt(ch, func(c *copyOf) bool { return c.where == placeBuried && c.owner == d.id })
	for _, c := range owned {
		want = append(want, c.entry)
	}
	w.require(slices.Equal(mine, want), "%s owns %v; it should be %v", d.id, mine, want)
	lost := slices.DeleteFunc(owned, func(c *copyOf) bool {
		return slices.ContainsFunc(d.hand, func(h *inHand) bool { return h.Channel == ch && h.EntryID == c.entry })
	})
	if len(lost) > 0 {
		w.release(t, d, ch, lost, false)
	}
}

// release: a dispatcher releases copies that it owns.
func (w *world) release(t *rapid.T, d *dispatcher, ch medispatcher.Channel, list []*copyOf, leave bool) stepped {
	var ids []string
	for _, c := range list {
		ids = append(ids, c.entry)
	}
	what := fmt.Sprintf("releases %d entries of %s of %d", len(ids), ch.Subscription, ch.Partition)
	if leave {
		what += " and leaves"
	}
	r := w.try(t, d, what, func() error {
		return d.store.Release(w.ctx, ch, ids, leave)
	}, "evalsha")
	if r.effect {
		for _, c := range list {
			if c.where == placeBuried && c.owner == d.id {
				c.place = place{where: placeRetrying, attempt: c.attempt, due: dueNow, entry: c.entry}
			}
		}
	}
	return r
}

// end: a dispatcher crashes or stops. Another one starts in its place.
func (w *world) end(t *rapid.T) {
	at := rapid.IntRange(0, len(w.dispatchers)-1).Draw(t, "at")
	d := w.dispatchers[at]
	w.setNow()
	if rapid.Bool().Draw(t, "in order") {
		w.say("%s stops", d.id)
		w.stop(t, d)
	} else {
		w.say("%s crashes", d.id)
	}
	w.start(at)
}

// stop gives back the messages that were not attempted, and leaves every channel. If a command does not
// reach Redis, its messages stay.
func (w *world) stop(t *rapid.T, d *dispatcher) {
	for p := range modelPartitions {
		for _, sub := range modelIDs {
			ch := medispatcher.Channel{Partition: p, Subscription: sub}
			if !slices.ContainsFunc(w.copies, func(c *copyOf) bool { return c.Channel == ch && c.owner == d.id }) {
				continue
			}
			list := w.copiesAt(ch, func(c *copyOf) bool {
				return slices.ContainsFunc(d.hand, func(h *inHand) bool { return h.Channel == ch && h.EntryID == c.entry && h.out == nil })
			})
			if !w.release(t, d, ch, list, true).known {
				return
			}
		}
	}
	w.try(t, d, "leaves incoming", func() error { return d.store.LeaveIncoming(w.ctx) }, "evalsha")
}
