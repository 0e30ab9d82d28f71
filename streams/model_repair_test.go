package streams_test

import (
	"fmt"
	"slices"
	"strconv"

	"pgregory.net/rapid"

	"github.com/solate/medispatcher"
)

// kickOther: one dispatcher declares another dead, rightly or not.
func (w *world) kickOther(t *rapid.T) {
	w.some(t, isBuried)
	c := rapid.SampledFrom(w.owned()).Draw(t, "copy")
	d := w.one(t)
	if d.id == c.owner {
		return
	}
	w.kick(t, d, c.Channel, c.owner, rapid.IntRange(1, 3).Draw(t, "limit"))
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

// repair: entries without a due time are healed, dispatchers give
// back what they own without knowing, or kick one that owns nothing.
func (w *world) repair(t *rapid.T) {
	switch rapid.SampledFrom([]string{"kick incoming", "reconcile", "heal", "kick"}).Draw(t, "repair") {
	case "kick incoming":
		w.kickIncoming(t, w.one(t), partition(t), rapid.IntRange(1, 3).Draw(t, "limit"))
	case "heal":
		w.heal(t, w.one(t), w.channel(t, func(c *copyOf) bool { return c.where == placeRetrying && c.due == 0 }))
	case "reconcile":
		d := w.one(t)
		w.reconcile(t, d, w.channel(t, func(c *copyOf) bool { return c.where == placeBuried && c.owner == d.id }))
	case "kick":
		d := w.one(t)
		w.kick(t, d, w.channel(t, isReady), w.other(t, d), 1)
	}
}

// other is any dispatcher that was ever started, but this one.
func (w *world) other(t *rapid.T, d *dispatcher) string {
	var ids []string
	for i := range w.started {
		if id := "d" + strconv.Itoa(i+1); id != d.id {
			ids = append(ids, id)
		}
	}
	return rapid.SampledFrom(append(ids, "nobody")).Draw(t, "dead")
}

func (w *world) kick(t *rapid.T, d *dispatcher, ch medispatcher.Channel, dead string, limit int) {
	w.setNow()
	var moved int
	var more bool
	r := w.try(t, d, fmt.Sprintf("kicks %s from %s of %d", dead, ch.Subscription, ch.Partition), func() (err error) {
		moved, more, err = d.store.Kick(w.ctx, ch, dead, limit)
		return err
	}, "evalsha")
	if !r.effect {
		return
	}
	owned := w.copiesAt(ch, func(c *copyOf) bool { return c.where == placeBuried && c.owner == dead })
	n := min(limit, len(owned))
	for _, c := range owned[:n] {
		c.place = place{where: placeRetrying, attempt: c.attempt, due: w.now, entry: c.entry}
	}
	w.require(!r.known || moved == n && more == (n < len(owned)), "%d kicked, more: %t; it should be %d, %t", moved, more, n, n < len(owned))
}

func (w *world) kickIncoming(t *rapid.T, d *dispatcher, p, limit int) {
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
		moved, more, err = d.store.KickIncoming(w.ctx, p, dead, limit, adopt)
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
	w.require(!r.known || moved == n && more == (n < len(owned)), "%d kicked, more: %t; it should be %d, %t", moved, more, n, n < len(owned))
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
		c.due = w.now
	}
	w.require(!r.known || made == len(orphans), "%d healed; it should be %d", made, len(orphans))
}

func (w *world) reconcile(t *rapid.T, d *dispatcher, ch medispatcher.Channel) {
	w.setNow()
	var mine, want []string
	r := w.try(t, d, fmt.Sprintf("lists its own of %s of %d", ch.Subscription, ch.Partition), func() (err error) {
		mine, err = d.store.Mine(w.ctx, ch, 100)
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
		w.giveBack(t, d, ch, lost, false)
	}
}

// giveBack releases copies of a channel that a dispatcher owns.
func (w *world) giveBack(t *rapid.T, d *dispatcher, ch medispatcher.Channel, list []*copyOf, leave bool) stepped {
	var ids []string
	for _, c := range list {
		ids = append(ids, c.entry)
	}
	what := fmt.Sprintf("gives back %d entries of %s of %d", len(ids), ch.Subscription, ch.Partition)
	if leave {
		what += " and leaves"
	}
	r := w.try(t, d, what, func() error {
		return d.store.Release(w.ctx, ch, ids, leave)
	}, "evalsha")
	if r.effect {
		for _, c := range list {
			if c.where == placeBuried && c.owner == d.id {
				c.place = place{where: placeRetrying, attempt: c.attempt, due: w.now, entry: c.entry}
			}
		}
	}
	return r
}

// end: a dispatcher crashes, or stops in order. Another one starts in its place.
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

// stop gives back what was not attempted and leaves every channel. What cannot reach Redis is left behind.
func (w *world) stop(t *rapid.T, d *dispatcher) {
	for p := range modelPartitions {
		for _, sub := range modelIDs {
			ch := medispatcher.Channel{Partition: p, Subscription: sub}
			list := w.copiesAt(ch, func(c *copyOf) bool {
				return slices.ContainsFunc(d.hand, func(h *inHand) bool { return h.Channel == ch && h.EntryID == c.entry && h.out == nil })
			})
			if !w.giveBack(t, d, ch, list, true).known {
				return
			}
		}
	}
	w.try(t, d, "leaves incoming", func() error { return d.store.LeaveIncoming(w.ctx) }, "evalsha")
}

// operator: somebody works on dead letters, or removes by hand what is repaired.
func (w *world) operator(t *rapid.T) {
	d := w.one(t)
	verb := rapid.SampledFrom([]string{"replay", "replay", "replay", "purge", "purge channel", "destroy", "destroy incoming", "forget due times", "remove consumer", "discard"}).Draw(t, "operator")
	ch := w.channel(t, func(c *copyOf) bool {
		return c.pending() && verb != "replay" && verb != "purge" || c.where == placeDead
	})
	key := channelKey(ch.Partition, ch.Subscription)
	switch verb {
	case "replay":
		w.replay(t, d, ch)
	case "purge":
		w.purge(t, d, ch)
	case "purge channel":
		w.purgeChannel(d, ch.Subscription)
	case "destroy":
		if w.groups[key] {
			w.say("the group of %s of %d is destroyed", ch.Subscription, ch.Partition)
			w.ok(w.Client.XGroupDestroy(w.ctx, key, "push").Err())
			delete(w.groups, key)
			w.remade[key] = true
			for _, c := range w.copiesAt(ch, (*copyOf).pending) {
				c.place = place{where: placeReady, entry: c.entry}
			}
		}
	case "destroy incoming":
		key = incomingKey(ch.Partition)
		if w.groups[key] {
			w.say("the group of incoming of %d is destroyed", ch.Partition)
			w.ok(w.Client.XGroupDestroy(w.ctx, key, "fanout").Err())
			delete(w.groups, key)
			for _, m := range w.arrivals {
				if m.p == ch.Partition && m.where == placeIncoming {
					m.owner = ""
				}
			}
		}
	case "forget due times":
		w.say("the due times of %s of %d are removed", ch.Subscription, ch.Partition)
		w.ok(w.Client.Del(w.ctx, fmt.Sprintf("medis:{%d}:retry:%s", ch.Partition, ch.Subscription)).Err())
		for _, c := range w.copiesAt(ch, (*copyOf).pending) {
			c.due = 0
		}
	case "remove consumer":
		dead := w.other(t, d)
		owns := w.copiesAt(ch, func(c *copyOf) bool { return c.owner == dead })
		if w.groups[key] && len(owns) == 0 {
			w.say("%s is removed from the group of %s of %d", dead, ch.Subscription, ch.Partition)
			w.ok(w.Client.XGroupDelConsumer(w.ctx, key, "push", dead).Err())
		}
	case "discard":
		w.discard(t, d, ch.Subscription)
	}
}

// letters lists the dead letters of a channel and checks them against the model.
func (w *world) letters(d *dispatcher, ch medispatcher.Channel) (ids []string, dead []*copyOf) {
	letters, err := d.store.DeadLetters(w.ctx, ch.Subscription, "", 100)
	w.ok(err)
	dead = w.copiesAt(ch, func(c *copyOf) bool { return c.where == placeDead })
	for _, l := range letters {
		if p, _, _ := cutID(l.ID); p == ch.Partition {
			ids = append(ids, l.ID)
			w.require(len(ids) <= len(dead) && l.Message.ID == dead[len(ids)-1].m.messageID() && l.Failure != nil,
				"dead letter %+v is not the model's", l)
		}
	}
	w.require(len(ids) == len(dead), "%d dead letters of %s of %d; it should be %d", len(ids), ch.Subscription, ch.Partition, len(dead))
	return ids, dead
}

func cutID(id string) (p int, entry string, err error) {
	_, err = fmt.Sscanf(id, "%d-%s", &p, &entry)
	return p, entry, err
}

func (w *world) replay(t *rapid.T, d *dispatcher, ch medispatcher.Channel) {
	ids, dead := w.letters(d, ch)
	if len(ids) == 0 {
		return
	}
	n := rapid.IntRange(1, len(ids)).Draw(t, "letters")
	var moved int
	r := w.try(t, d, fmt.Sprintf("replays %d dead letters of %s of %d", n, ch.Subscription, ch.Partition), func() (err error) {
		moved, err = d.store.Replay(w.ctx, ch.Subscription, append(ids[:n:n], fmt.Sprintf("%d-0-1", ch.Partition)))
		return err
	}, "evalsha")
	if r.effect {
		for _, c := range dead[:n] {
			c.place = place{where: placeReady}
			w.count("replayed:" + ch.Subscription)
		}
	}
	w.require(!r.known || moved == n, "%d replayed; it should be %d", moved, n)
}

func (w *world) purge(t *rapid.T, d *dispatcher, ch medispatcher.Channel) {
	ids, dead := w.letters(d, ch)
	if len(ids) == 0 {
		return
	}
	n := rapid.IntRange(1, len(ids)).Draw(t, "letters")
	var removed int
	r := w.try(t, d, fmt.Sprintf("purges %d dead letters of %s of %d", n, ch.Subscription, ch.Partition), func() (err error) {
		removed, err = d.store.PurgeDead(w.ctx, ch.Subscription, ids[:n])
		return err
	}, "evalsha")
	if r.effect {
		for _, c := range dead[:n] {
			c.place, c.end = place{where: placeDeleted}, "purged"
			w.count("purged:" + ch.Subscription)
		}
	}
	w.require(!r.known || removed == n, "%d purged; it should be %d", removed, n)
}

// purgeChannel throws away what is in a subscription's channels. What somebody has in hand
// settles to nothing, and to no error: the groups are there.
func (w *world) purgeChannel(d *dispatcher, sub string) {
	w.say("%s purges %s", d.id, sub)
	for p := range modelPartitions {
		key := channelKey(p, sub)
		n, err := w.Client.Exists(w.ctx, key).Result()
		w.ok(err)
		if n > 0 {
			w.groups[key] = true
		}
		delete(w.remade, key)
	}
	var ready, buried int64
	for _, c := range w.copies {
		switch {
		case c.Subscription != sub:
			continue
		case c.pending():
			buried++
		case c.where == placeReady:
			ready++
		default:
			continue
		}
		c.place, c.end = place{where: placeDeleted}, "purged"
		w.count("purged:" + sub)
	}
	gotReady, gotBuried, err := d.store.Purge(w.ctx, sub)
	w.ok(err)
	w.require(gotReady == ready && gotBuried == buried, "%d READY and %d BURIED purged; it should be %d and %d", gotReady, gotBuried, ready, buried)
}

func (w *world) discard(_ *rapid.T, d *dispatcher, sub string) {
	w.say("%s discards %s", d.id, sub)
	w.ok(second(d.store.Discard(w.ctx, sub, true)))
	for _, c := range w.copies {
		if c.Subscription == sub && c.where != placeDeleted {
			c.place, c.end = place{where: placeDeleted}, "purged"
			w.count("purged:" + sub)
		}
	}
	for p := range modelPartitions {
		delete(w.groups, channelKey(p, sub))
	}
	w.setTime(w.now + 1) // a stream made anew must not use ids again that somebody has in hand
}
