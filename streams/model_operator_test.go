package streams_test

import (
	"fmt"
	"maps"
	"strings"

	"pgregory.net/rapid"

	"github.com/solate/medispatcher"
)

// operator: somebody purges dead letters, or deletes by hand something that dispatchers repair.
func (w *world) operator(t *rapid.T) {
	d := w.one(t)
	verb := rapid.SampledFrom([]string{"replay", "replay", "replay", "purge", "purge channel", "destroy", "destroy incoming", "forget due times", "remove consumer", "discard", "type", "type", "type"}).Draw(t, "operator")
	ch := w.channel(t, func(c *copyOf) bool {
		return c.pending() && verb != "replay" && verb != "purge" || c.where == placeDead
	})
	key := channelKey(ch.Partition, ch.Subscription)
	switch verb {
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
			for _, c := range w.copiesAt(ch, func(c *copyOf) bool { return c.pending() || c.unowned }) {
				c.place, c.unowned = place{where: placeReady, entry: c.entry}, false
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
					m.owner, m.unowned = "", false
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
	case "type":
		w.typed(t, ch)
	case "discard":
		w.discard(t, d, ch.Subscription)
	}
}

func isDead(c *copyOf) bool { return c.where == placeDead }

// replayAny: somebody replays dead letters.
func (w *world) replayAny(t *rapid.T) {
	w.some(t, isDead)
	w.replay(t, w.one(t), w.channel(t, isDead))
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
			c.place, c.end, c.unowned = place{where: placeDeleted}, "purged", false
			w.count("purged:" + ch.Subscription)
		}
	}
	w.require(!r.known || removed == n, "%d purged; it should be %d", removed, n)
}

// purgeChannel deletes the messages in the channels of a subscription. The outcome of a message in hand
// then has no effect. It is no error either, because the groups stay.
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
		c.place, c.end, c.unowned = place{where: placeDeleted}, "purged", false
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
			c.place, c.end, c.unowned = place{where: placeDeleted}, "purged", false
			w.count("purged:" + sub)
		}
	}
	maps.DeleteFunc(w.counts, func(what string, _ int64) bool { // the sums stay
		kind, name, _ := strings.Cut(what, ":")
		return name == sub && kind != "received" && kind != "unroutable"
	})
	for p := range modelPartitions {
		delete(w.groups, channelKey(p, sub))
	}
	w.setTime(w.now + 1) // a new stream must not reuse ids that a dispatcher has in hand
}
