package streams_test

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"pgregory.net/rapid"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/streams"
)

// publish: a producer writes a message, without an id, or with one that other messages may have too.
func (w *world) publish(t *rapid.T) {
	d := w.one(t)
	m := &arrival{n: len(w.arrivals), p: partition(t), place: place{where: placeIncoming}}
	m.topic = rapid.SampledFrom(modelTopics).Draw(t, "topic")
	m.id = rapid.SampledFrom([]string{"", "", "p1", "p2"}).Draw(t, "id")
	m.delay = rapid.SampledFrom([]int64{0, 0, 0, w.short(), 2 * w.short()}).Draw(t, "delay")
	msg := medispatcher.Message{
		ID: m.id, Topic: m.topic, Body: []byte(m.name()), Key: keysOf[m.p],
		Delay: time.Duration(m.delay) * time.Millisecond,
	}
	var id string
	r := w.try(t, d, "publishes "+m.name()+" "+m.topic, func() (err error) { id, err = d.store.Publish(w.ctx, msg); return err }, "xadd")
	if !r.effect {
		return
	}
	w.arrivals = append(w.arrivals, m)
	at, there := w.look().places[m.name()]
	w.require(there, "%s was accepted and is nowhere", m.name())
	m.first = at.entry
	w.require(!r.known || id == m.messageID(), "%s has the id %q; it should be %q", m.name(), id, m.messageID())
}

// short is a delay that may pass within a sequence, in ms.
func (w *world) short() int64 {
	if w.Mini == nil {
		return 1
	}
	return 10_000
}

// pass lets time pass. On miniredis it may be any time.
func (w *world) pass(t *rapid.T) {
	waits := slices.ContainsFunc(w.copies, func(c *copyOf) bool { return c.due > w.now }) ||
		slices.ContainsFunc(w.arrivals, func(m *arrival) bool { return m.due > w.now })
	if !waits {
		t.SkipNow() // nothing waits
	}
	ms := rapid.SampledFrom([]int64{1, 10_000, 20_000, 60_000, 3_600_000}).Draw(t, "ms")
	w.say("%v pass", time.Duration(ms)*time.Millisecond)
	w.setTime(w.now + ms)
}

// setClock: somebody sets the clock of Redis. The dispatchers notice it with their next heartbeats.
func (w *world) setClock(t *rapid.T) {
	if w.Mini == nil {
		t.SkipNow() // the clock of redis-server cannot be set
	}
	steps := []int64{1500, 3_600_000}
	owned := slices.ContainsFunc(w.copies, func(c *copyOf) bool { return c.where == placeBuried || c.where == placeRetrying }) ||
		slices.ContainsFunc(w.arrivals, func(m *arrival) bool { return m.owner != "" })
	if !owned { // otherwise miniredis, unlike Redis, hides entries that were read in the future
		steps = append(steps, -1500, -3_600_000)
	}
	w.skew += rapid.SampledFrom(steps).Draw(t, "step")
	w.say("the clock of Redis is off by %v", time.Duration(w.skew)*time.Millisecond)
	w.setTime(w.now)
	for _, s := range append([]*streams.Store{w.worker.Store}, w.stores()...) {
		w.ok(s.Heartbeat(w.ctx, medispatcher.Dispatcher{DeadAfter: time.Minute}))
		w.ok(s.Leave(w.ctx))
	}
}

// fanout: a dispatcher reads from incoming, moves what it has read, or releases delayed messages.
func (w *world) fanout(t *rapid.T) {
	if !slices.ContainsFunc(w.arrivals, func(m *arrival) bool { return m.where != placeRouted }) {
		t.SkipNow() // there is nothing to move
	}
	d, p := w.one(t), partition(t)
	switch verb := rapid.SampledFrom([]string{"both", "both", "both", "read", "read", "move", "move", "own", "release"}).Draw(t, "verb"); verb {
	case "read":
		w.readIncoming(t, d, p, false)
	case "move":
		w.move(t, d, p)
	case "both":
		w.readIncoming(t, d, p, false)
		w.move(t, d, p)
	case "own":
		w.readIncoming(t, d, p, true)
	case "release":
		w.releaseDelayed(t, d, p)
	}
}

// queued lists the arrivals in an incoming stream that a consumer owns; "" for the unread ones.
func (w *world) queued(p int, owner string) []*arrival {
	var list []*arrival
	for _, m := range w.arrivals {
		if m.p == p && m.where == placeIncoming && m.owner == owner && !m.unowned {
			if m.entry == "" { // just released
				m.entry = w.look().places[m.name()].entry
			}
			list = append(list, m)
		}
	}
	slices.SortFunc(list, func(a, b *arrival) int { return byEntry(a.entry, b.entry) })
	return list
}

func (w *world) readIncoming(t *rapid.T, d *dispatcher, p int, own bool) {
	key, owner := incomingKey(p), ""
	if own {
		owner = d.id
	}
	want := w.queued(p, owner)
	group := w.groups[key]
	if !own && group && len(want) == 0 {
		return // it would wait
	}
	count := 100
	if !own {
		count = rapid.IntRange(1, 3).Draw(t, "count")
	}
	want = want[:min(count, len(want))]
	var got []streams.Entry
	what := "reads incoming of " + strconv.Itoa(p)
	if own {
		what += " for its own"
	}
	command := "xreadgroup"
	if !group {
		command, want, what = "xgroup", nil, what+" and makes the group"
	}
	r := w.try(t, d, what, func() (err error) { got, err = d.store.ReadIncoming(w.ctx, p, count, own); return err }, command)
	if !r.effect {
		return
	}
	w.groups[key] = true
	for _, m := range want {
		m.owner = d.id
	}
	if !r.known {
		return
	}
	d.entries[p] = got
	var ids, wantIDs []string
	for _, e := range got {
		ids = append(ids, e.ID)
	}
	for _, m := range want {
		wantIDs = append(wantIDs, m.entry)
	}
	w.require(slices.Equal(ids, wantIDs), "%s read the entries %v; it should be %v", d.id, ids, wantIDs)
}

func (w *world) move(t *rapid.T, d *dispatcher, p int) {
	if len(d.entries[p]) == 0 {
		return
	}
	var routings []streams.Routing
	for _, e := range d.entries[p] {
		r := d.behind(w.worker.Decide(e, w.router), p)
		if len(r.Subs) > 1 && rapid.Bool().Draw(t, "in two steps") {
			r.Subs, r.More = r.Subs[:1], true
		}
		routings = append(routings, r)
	}
	var hand []medispatcher.Want
	if rapid.Bool().Draw(t, "hand over") {
		most := rapid.IntRange(1, 2).Draw(t, "max")
		for _, sub := range modelIDs {
			hand = append(hand, medispatcher.Want{Channel: medispatcher.Channel{Partition: p, Subscription: sub}, Max: most})
		}
	}
	var routed []streams.Routed
	var deliveries []medispatcher.Delivery
	had := len(w.copies)
	r := w.try(t, d, "moves its entries of "+strconv.Itoa(p), func() (err error) {
		routed, deliveries, err = d.store.FanoutHand(w.ctx, p, streams.RoutedBy{}, routings, hand)
		return err
	}, "evalsha")
	if !r.effect {
		return
	}
	var want []string
	halted, same := false, w.isPending(p, routings[0].EntryID)
	for _, r := range routings {
		result := "wait"
		if !halted && (same || w.isPending(p, r.EntryID)) {
			result = w.arrive(p, r)
		} else if !halted {
			result = w.missed(p, r.EntryID)
		}
		halted = slices.Contains([]string{"more", "at", "wait"}, result)
		want = append(want, result)
	}
	w.learnGroups(p)
	taken := w.handedOver(d, hand, w.copies[had:])
	if !r.known {
		return // the dispatcher still has them in hand, and moves them again
	}
	w.take(d, deliveries, taken, false)
	var got []string
	var rest []streams.Entry
	for i, x := range routed {
		got = append(got, string(x.Result))
		if d.learn(p, routings[i], x) {
			rest = append(rest, d.entries[p][i])
		}
	}
	d.entries[p] = rest
	w.require(slices.Equal(got, want), "%s moved with the results %v; they should be %v", d.id, got, want)
}

// learnGroups learns which channels got a group, as those do that a fan-out step finds new to the active set.
func (w *world) learnGroups(p int) {
	for _, sub := range modelIDs {
		key := channelKey(p, sub)
		if groups, err := w.Client.XInfoGroups(w.ctx, key).Result(); err == nil && len(groups) > 0 {
			w.groups[key] = true
		}
	}
}

// handedOver applies the reads of a fan-out step that made some copies. A channel is read if nothing else is READY
// there.
func (w *world) handedOver(d *dispatcher, hand []medispatcher.Want, made []*copyOf) (taken []*copyOf) {
	places := w.look().places
	for _, want := range hand {
		ready := w.copiesAt(want.Channel, isReady)
		var mine []*copyOf
		for _, c := range made {
			if c.Channel == want.Channel {
				mine = append(mine, c)
			}
		}
		if len(mine) < len(ready) || !w.groups[channelKey(want.Partition, want.Subscription)] {
			continue
		}
		for _, c := range mine[:min(want.Max, len(mine))] {
			c.place = place{where: placeBuried, owner: d.id, attempt: 1, entry: places[c.name()].entry}
			taken = append(taken, c)
		}
	}
	return taken
}

// behind is the rest of a routing: the subscriptions that, as far as the dispatcher knows, have no copy yet.
func (d *dispatcher) behind(r streams.Routing, p int) streams.Routing {
	r.After = d.after[strconv.Itoa(p)+" "+r.EntryID]
	r.Subs = slices.DeleteFunc(slices.Clone(r.Subs), func(sub string) bool { return sub <= r.After })
	return r
}

// learn takes the result of an entry, and reports whether the dispatcher still has the entry in hand.
func (d *dispatcher) learn(p int, r streams.Routing, x streams.Routed) bool {
	after := x.At
	switch x.Result {
	case streams.RoutedMore:
		after = r.Subs[len(r.Subs)-1]
	case streams.RoutedBehind:
	case streams.RoutedWait:
		return true
	default:
		return false
	}
	d.after[strconv.Itoa(p)+" "+r.EntryID] = after
	return true
}

// isPending reports whether anybody owns an entry of an incoming stream.
func (w *world) isPending(p int, entry string) bool {
	return slices.ContainsFunc(w.arrivals, func(a *arrival) bool {
		return a.p == p && a.where == placeIncoming && a.entry == entry && a.owner != ""
	})
}

// missed is what a step says of an entry that is not pending. One that was moved before is gone. If an operator destroyed the group
// since, and it has not come that far again, the step cannot tell this from a stream that was deleted: it counts the entry as vanished.
func (w *world) missed(p int, entry string) string {
	if slices.ContainsFunc(w.arrivals, func(a *arrival) bool { return a.p == p && a.where == placeIncoming && a.entry == entry }) {
		return "gone"
	}
	groups, _ := w.Client.XInfoGroups(w.ctx, incomingKey(p)).Result() // no stream is a valid answer
	for _, g := range groups {
		if g.Name == "fanout" && streams.CompareIDs(g.LastDeliveredID, entry) >= 0 {
			return "gone"
		}
	}
	w.count("vanished:" + streams.FromIncoming)
	return "vanished"
}

// arrive applies the fan-out of one entry to the model, whoever owns it by now.
func (w *world) arrive(p int, r streams.Routing) (result string) {
	i := slices.IndexFunc(w.arrivals, func(a *arrival) bool { return a.p == p && a.where == placeIncoming && a.entry == r.EntryID })
	if i < 0 {
		return w.missed(p, r.EntryID)
	}
	m := w.arrivals[i]
	sub := medispatcher.CheckTopic(m.topic)
	routes := w.router.Route(m.topic)
	copies := sub == nil && (m.delay == 0 || m.released)
	switch {
	case copies && m.after != r.After:
		return "at"
	case sub != nil:
		m.result = "quarantined"
		w.count("quarantined")
	case copies && len(routes) == 0 && !w.held(m):
		m.result = "unroutable"
		w.count("received:" + m.topic)
		w.count("unroutable:" + m.topic)
		w.forget(m)
	case m.after == "" && w.remembered(m):
		m.result = "duplicate"
		w.count("duplicate")
	case m.delay > 0 && !m.released:
		due := w.now
		if ms, _, _ := strings.Cut(m.entry, "-"); ms != "" {
			due, _ = strconv.ParseInt(ms, 10, 64)
			due = min(due+max(0, -w.skew), w.now)
		}
		due += m.delay
		m.place, m.unowned = place{where: placeDelayed, due: due}, false
		return "delayed"
	default:
		for _, id := range r.Subs {
			w.copies = append(w.copies, &copyOf{m: m, Channel: medispatcher.Channel{Partition: p, Subscription: id}, place: place{where: placeReady}})
		}
		if r.More {
			m.after = r.Subs[len(r.Subs)-1]
			return "more"
		}
		m.result = "copied"
		w.count("received:" + m.topic)
	}
	m.place, m.unowned = place{where: placeRouted}, false
	return m.result
}

// remembered reports whether another entry with the same id was moved within the window,
// and remembers this one if not.
func (w *world) remembered(m *arrival) bool {
	if w.held(m) {
		return true
	}
	if m.id != "" && !m.released {
		w.seen[strconv.Itoa(m.p)+" "+m.id] = memory{m.entry, w.now + modelWindow.Milliseconds()}
	}
	return false
}

// held reports whether the seen key of a message's id belongs to another entry, so that the message is a duplicate.
func (w *world) held(m *arrival) bool {
	had, ok := w.seen[strconv.Itoa(m.p)+" "+m.id]
	return m.id != "" && !m.released && ok && had.until > w.now && had.entry != m.entry
}

// forget removes the seen key of a message's id, if it belongs to that message.
func (w *world) forget(m *arrival) {
	key := strconv.Itoa(m.p) + " " + m.id
	if entry := w.seen[key].entry; entry == m.entry || entry == m.first {
		delete(w.seen, key)
	}
}

func (w *world) releaseDelayed(t *rapid.T, d *dispatcher, p int) {
	if w.Mini == nil {
		time.Sleep(3 * time.Millisecond) // the clock of redis-server cannot be set
		w.setTime(0)
	}
	var moved int
	r := w.try(t, d, "releases delayed messages of "+strconv.Itoa(p), func() (err error) { moved, _, err = d.store.ReleaseDelayed(w.ctx, p, 100); return err }, "evalsha")
	if !r.effect {
		return
	}
	n := w.released(p)
	w.require(!r.known || moved == n, "%d messages were released; it should be %d", moved, n)
}

// released moves the delayed messages of a partition that are due.
func (w *world) released(p int) (n int) {
	for _, m := range w.arrivals {
		if m.p == p && m.where == placeDelayed && m.due <= w.now {
			m.place, m.released = place{where: placeIncoming}, true
			n++
		}
	}
	return n
}
