package streams_test

import (
	"errors"
	"maps"
	"strings"
	"time"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/amender"
	"github.com/solate/medispatcher/streams"
	"github.com/solate/medispatcher/streams/report"
)

// drain kills every dispatcher. A new one then finishes the rest without faults. After that, every
// message must have come to a good end, and nothing may be left.
func (w *world) drain() {
	w.say("all crash; z gives back and delivers the rest")
	z := &dispatcher{id: "z", after: map[string]string{}}
	z.store, z.faults = w.lab.store("z")
	w.useClock(z.store)
	w.ok(z.store.Heartbeat(w.ctx, medispatcher.Dispatcher{ID: "z", DeadAfter: 24 * time.Hour}))
	_, err := amender.Run(w.ctx, z.store, amender.Options{
		Partitions: modelPartitions, Subs: modelIDs, Incoming: true, Adopt: "z",
		Force: w.Mini == nil, // the clock of redis-server cannot be set
	})
	w.ok(err)
	for _, c := range w.copies {
		w.regained(c)
	}
	for _, m := range w.arrivals {
		w.adopted(m, z.id)
	}
	for round := 0; w.honestRound(z); round++ {
		w.require(round < 100, "z never comes to an end")
	}
	w.checkEnds(z)
	for p := range modelPartitions {
		w.ok(z.store.AuditChannels(w.ctx, p, modelIDs)) // channels that are empty leave the active set
	}
	_, err = amender.Run(w.ctx, z.store, amender.Options{Partitions: modelPartitions, Subs: modelIDs, Idle: true})
	w.ok(err)
	w.checkKeys()
}

// honestRound runs every step once, and reports whether any had something to do.
func (w *world) honestRound(z *dispatcher) (busy bool) {
	if w.Mini != nil {
		w.setTime(w.now + time.Hour.Milliseconds())
	} else {
		time.Sleep(3 * time.Millisecond)
		w.setTime(0)
	}
	for p := range modelPartitions {
		moved, _, err := z.store.ReleaseDelayed(w.ctx, p, 100)
		w.ok(err)
		n := w.released(p)
		w.require(moved == n, "%d messages were released; it should be %d", moved, n)
		busy = busy || moved > 0
		own := true
		for range 5 { // an unreadable entry must not make it wait for ever
			n, err := w.Client.XLen(w.ctx, incomingKey(p)).Result()
			w.ok(err)
			if n == 0 {
				break
			}
			entries, err := z.store.ReadIncoming(w.ctx, p, 100, own)
			w.ok(err)
			own = false
			w.groups[incomingKey(p)] = true
			z.entries[p] = entries
			w.honestMove(z, p)
			busy = true
		}
		busy = w.honestPush(z, p) || busy
	}
	return busy
}

func (w *world) honestMove(z *dispatcher, p int) {
	for _, e := range z.entries[p] {
		r := z.behind(w.worker.Decide(e, w.router), p)
		routed, err := z.store.Fanout(w.ctx, p, []streams.Routing{r})
		w.ok(err)
		for _, m := range w.arrivals {
			if m.p == p && m.where == placeIncoming && (m.entry == e.ID || m.entry == "" && m.name() == e.Fields()["body"]) {
				m.entry, m.owner = e.ID, z.id
			}
		}
		want := w.arrive(p, r)
		w.require(string(routed[0].Result) == want, "%s became %s; it should be %s", e.Fields()["body"], routed[0].Result, want)
		z.learn(p, r, routed[0]) // it finishes in the next round what others began
	}
}

// honestPush delivers what is READY or due in a partition.
func (w *world) honestPush(z *dispatcher, p int) bool {
	var wants []medispatcher.Want
	for _, sub := range modelIDs {
		wants = append(wants, medispatcher.Want{Channel: medispatcher.Channel{Partition: p, Subscription: sub}, Max: 100})
		w.groups[channelKey(p, sub)] = true
	}
	got, err := z.store.Read(w.ctx, wants)
	if errors.Is(err, medispatcher.ErrGroupCreated) {
		var more []medispatcher.Delivery
		more, err = z.store.Read(w.ctx, wants)
		got = append(got, more...)
	}
	w.ok(err)
	due, _, err := z.store.Due(w.ctx, p, wants)
	w.ok(err)
	var done []medispatcher.Settlement
	for _, d := range append(got, due...) {
		c := w.byBody(string(d.Message.Body), d.Channel)
		w.require(c != nil, "z got %s of %s, which is settled", d.Message.Body, d.Subscription)
		want := max(1, c.attempt)
		w.require(d.Attempt == want, "%s is delivered as attempt %d; it should be %d", c.name(), d.Attempt, want)
		w.require(d.Message.ID == c.m.messageID(), "%s is delivered with the id %q", c.name(), d.Message.ID)
		c.place, c.end = place{where: placeDeleted}, "sent"
		done = append(done, medispatcher.Settlement{Channel: d.Channel, EntryID: d.EntryID, Outcome: medispatcher.Sent, Attempt: d.Attempt})
		w.countOutcome(&done[len(done)-1])
	}
	if len(done) == 0 {
		return false
	}
	n, err := z.store.Delete(w.ctx, p, done)
	w.ok(err)
	w.require(int(n) == len(done), "%d of %d were settled", n, len(done))
	return true
}

// byBody is the copy of a message that has not ended yet.
func (w *world) byBody(body string, ch medispatcher.Channel) *copyOf {
	for _, c := range w.copies {
		if c.Channel == ch && c.m.name() == body && (c.where == placeReady || c.pending()) {
			return c
		}
	}
	return nil
}

// checkEnds checks that every accepted message came to a good end for each of its subscriptions.
func (w *world) checkEnds(z *dispatcher) {
	w.touched = true
	w.compare(w.rt)
	for _, m := range w.arrivals {
		w.require(m.where == placeRouted, "%s is lost: %s", m.name(), m.place)
	}
	for _, c := range w.copies {
		good := c.where == placeDead || c.where == placeDeleted && c.end != ""
		w.require(good, "%s is lost: %s", c.name(), c.place)
	}
	counts, err := report.New(z.store).Counts(w.ctx)
	w.ok(err)
	want := maps.Clone(w.counts)
	maps.DeleteFunc(want, func(what string, _ int64) bool { return strings.HasSuffix(what, ":") }) // sums
	w.require(maps.Equal(counts, want), "counts are %v; they should be %v", counts, want)
	status, err := report.New(z.store).ChannelStatus(w.ctx, modelIDs)
	w.ok(err)
	for _, st := range status {
		w.require(st.Ready == 0 && st.Buried == 0 && st.Retrying == 0, "status %+v; nothing should be left", st)
	}
}

// checkKeys checks that only dead letters, quarantine, unrouted messages, seen keys, counts and empty
// streams are left.
func (w *world) checkKeys() {
	keys, err := w.Client.Keys(w.ctx, "*").Result()
	w.ok(err)
	for _, key := range keys {
		_, name, _ := strings.Cut(key, "}:")
		kind, _, _ := strings.Cut(name, ":")
		switch {
		case kind == "dead", kind == "quarantine", kind == "unrouted", kind == "seen", strings.HasPrefix(key, "medis:stats:"), strings.HasPrefix(key, "medis:dispatcher"), strings.HasPrefix(key, "medis:book:"), strings.HasPrefix(key, "medis:partitions:"), strings.HasPrefix(key, "medis:clock:"):
		case name == "active":
			n, err := w.Client.SCard(w.ctx, key).Result()
			w.ok(err)
			w.require(n == 1, "%s holds %d names of idle channels", key, n-1)
		case name == "active:dead": // compared with what is dead by look
		case kind == "ch" || kind == "incoming":
			n, err := w.Client.XLen(w.ctx, key).Result()
			w.ok(err)
			w.require(n == 0, "%s holds %d entries", key, n)
			w.checkConsumers(key)
		default:
			w.require(false, "%s is left", key)
		}
	}
}

// checkConsumers checks that only living dispatchers and ~buried are left in a group.
func (w *world) checkConsumers(key string) {
	for _, group := range []string{"push", "fanout"} {
		consumers, err := w.Client.XInfoConsumers(w.ctx, key, group).Result()
		if err != nil {
			continue // the stream has another group
		}
		for _, c := range consumers {
			w.require(c.Name == "z" || c.Name == "~buried", "%s still has the consumer %s", key, c.Name)
		}
	}
}
