package streams_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"pgregory.net/rapid"

	"github.com/solate/medispatcher"
)

func isReady(c *copyOf) bool    { return c.where == placeReady && !c.unowned }
func isBuried(c *copyOf) bool   { return c.where == placeBuried }
func isRetrying(c *copyOf) bool { return c.where == placeRetrying }

// some skips a step that needs a copy somewhere.
func (w *world) some(t *rapid.T, where func(*copyOf) bool) {
	if !slices.ContainsFunc(w.copies, where) {
		t.SkipNow() // there is nothing to do
	}
}

// read: a dispatcher reads new messages of a partition's channels.
func (w *world) read(t *rapid.T) {
	w.some(t, isReady)
	d, p := w.one(t), w.channel(t, isReady).Partition
	most := rapid.IntRange(1, 3).Draw(t, "max")
	var wants []medispatcher.Want
	var taken []*copyOf
	var missing []string
	for _, sub := range modelIDs {
		ch := medispatcher.Channel{Partition: p, Subscription: sub}
		wants = append(wants, medispatcher.Want{Channel: ch, Max: most})
		if !w.groups[channelKey(p, sub)] {
			missing = append(missing, channelKey(p, sub))
			continue
		}
		ready := w.copiesAt(ch, isReady)
		taken = append(taken, ready[:min(most, len(ready))]...)
	}
	var got []medispatcher.Delivery
	readReply := false
	r := w.try(t, d, fmt.Sprintf("reads the channels of %d, %d each", p, most), func() error {
		var err error
		got, err = d.store.Read(w.ctx, wants)
		readReply = errors.Is(err, medispatcher.ErrGroupCreated) || err == nil
		if readReply && d.faults.Matched() == 0 {
			return nil
		}
		return err
	}, "xreadgroup")
	if !r.effect {
		return
	}
	for _, c := range taken {
		c.place = place{where: placeBuried, owner: d.id, attempt: 1, entry: c.entry}
	}
	if !r.known {
		return
	}
	for _, key := range missing {
		w.groups[key] = true
	}
	w.take(d, got, taken, false)
}

// due: a dispatcher takes messages whose next attempt is due.
func (w *world) due(t *rapid.T) {
	w.some(t, isRetrying)
	d, p := w.one(t), w.channel(t, isRetrying).Partition
	most := rapid.IntRange(1, 3).Draw(t, "max")
	w.takeDue(t, d, p, most)
}

func (w *world) takeDue(t *rapid.T, d *dispatcher, p, most int) (got []medispatcher.Delivery) {
	w.setNow()
	var wants []medispatcher.Want
	for _, sub := range modelIDs {
		wants = append(wants, medispatcher.Want{Channel: medispatcher.Channel{Partition: p, Subscription: sub}, Max: most})
	}
	r := w.try(t, d, fmt.Sprintf("takes what is due in %d, %d each", p, most), func() (err error) {
		got, _, err = d.store.Due(w.ctx, p, wants)
		return err
	}, "evalsha")
	if !r.effect {
		return nil
	}
	// Redis chooses among several by their due times. The model learns the choice.
	places := w.look().places
	var taken []*copyOf
	for _, want := range wants {
		due := w.copiesAt(want.Channel, func(c *copyOf) bool { return c.where == placeRetrying && c.due > 0 && c.due <= w.now })
		n := 0
		for _, c := range due {
			if places[c.name()].owner == d.id {
				n++
				taken = append(taken, c)
				c.place = place{where: placeBuried, owner: d.id, attempt: c.attempt, entry: c.entry}
			}
		}
		// A stale due time, of an entry whose group was lost, counts towards the limit.
		stale := w.remade[channelKey(p, want.Subscription)]
		w.require(n == min(most, len(due)) || stale && n <= most, "%d of %d messages due in %s were taken", n, len(due), want.Subscription)
	}
	if !r.known {
		return nil
	}
	w.take(d, got, taken, true)
	return got
}

// setNow reads the time of redis-server, whose clock goes on by itself. A dispatcher's copy of it may be some
// milliseconds late: what the model takes for due is due for every dispatcher after this.
func (w *world) setNow() {
	if w.Mini != nil {
		return
	}
	w.setTime(0)
	for _, s := range w.stores() {
		for tries := 0; s.Now().UnixMilli() < w.now && tries < 100; tries++ {
			time.Sleep(time.Millisecond)
		}
	}
}

// take gives deliveries to a dispatcher. Each must be one of taken, complete, with the number of its attempt.
func (w *world) take(d *dispatcher, got []medispatcher.Delivery, taken []*copyOf, due bool) {
	w.require(len(got) == len(taken), "%s got %d messages; it should be %d", d.id, len(got), len(taken))
	for _, delivery := range got {
		c := w.copyWith(delivery.Channel, delivery.EntryID)
		w.require(c != nil && slices.Contains(taken, c), "%s got %s of %s, which is settled or of others", d.id, delivery.Message.Body, delivery.Subscription)
		w.require(delivery.Attempt == c.attempt, "%s is delivered as attempt %d; it should be %d", c.name(), delivery.Attempt, c.attempt)
		w.require(delivery.Message.ID == c.m.messageID() && string(delivery.Message.Body) == c.m.name() && delivery.Message.Topic == c.m.topic,
			"%s is delivered as %+v", c.name(), delivery.Message)
		w.require(!due || (delivery.Failure != nil) == c.failed, "%s has the failure record %+v; it failed: %t", c.name(), delivery.Failure, c.failed)
		d.hand = append(d.hand, &inHand{Delivery: delivery})
		w.say("  %s got %s, attempt %d", d.id, c.name(), delivery.Attempt)
	}
}

// settle: attempts of a dispatcher end, or outcomes that could not be settled are settled again. The
// dispatcher does not know whether it still owns the entries.
func (w *world) settle(t *rapid.T) {
	busy := slices.DeleteFunc(slices.Clone(w.dispatchers), func(d *dispatcher) bool { return len(d.hand) == 0 })
	if len(busy) == 0 {
		t.SkipNow() // nobody has anything in hand
	}
	d := busy[rapid.IntRange(0, len(busy)-1).Draw(t, "dispatcher")]
	first := rapid.IntRange(0, len(d.hand)-1).Draw(t, "delivery")
	outcome := rapid.SampledFrom([]medispatcher.Outcome{
		medispatcher.Sent, medispatcher.Failed, medispatcher.Failed, medispatcher.Exhausted, medispatcher.Dropped, medispatcher.Released,
	}).Draw(t, "outcome")
	if d.hand[first].out != nil {
		outcome = d.hand[first].out.Outcome
	}
	delay := time.Duration(rapid.SampledFrom([]int64{0, 0, 10_000, 3_600_000}).Draw(t, "delay")) * time.Millisecond
	if w.Mini == nil && delay > 0 {
		delay = time.Hour
	}
	more := rapid.IntRange(0, 2).Draw(t, "more")
	var batch []*inHand
	for _, h := range d.hand[first:] {
		fits := h.Partition == d.hand[first].Partition && (h.out == nil || h.out.Outcome == outcome) &&
			(outcome != medispatcher.Released || h.Channel == d.hand[first].Channel)
		if fits && len(batch) <= more {
			batch = append(batch, h)
		}
	}
	for _, h := range batch {
		if h.out == nil {
			h.out = &medispatcher.Settlement{
				Channel: h.Channel, EntryID: h.EntryID, Outcome: outcome, Attempt: h.Attempt, Delay: delay,
				Failure: &medispatcher.Failure{Attempts: h.Attempt, LastError: "status 500"},
			}
		}
	}
	w.settleBatch(t, d, batch)
}

func (w *world) settleBatch(t *rapid.T, d *dispatcher, batch []*inHand) {
	w.setNow()
	p, outcome := batch[0].Partition, batch[0].out.Outcome
	var list []medispatcher.Settlement
	var ids []string
	what := "settles"
	for _, h := range batch {
		list, ids = append(list, *h.out), append(ids, h.EntryID)
		what += fmt.Sprintf(" %s of %s, attempt %d,", h.Message.Body, h.Subscription, h.Attempt)
	}
	var deleted int64
	gone := false
	step := func() (err error) {
		switch outcome {
		case medispatcher.Sent, medispatcher.Dropped:
			deleted, err = d.store.Delete(w.ctx, p, list)
		case medispatcher.Failed:
			err = d.store.Retry(w.ctx, p, list)
		case medispatcher.Exhausted:
			err = d.store.Kill(w.ctx, p, list)
		case medispatcher.Released:
			err = d.store.Release(w.ctx, batch[0].Channel, ids, false)
		}
		if gone = errors.Is(err, medispatcher.ErrGone); gone {
			return nil
		}
		return err
	}
	r := w.try(t, d, what+" as "+outcome.String(), step, "evalsha")
	var n int64
	left := batch
	wantGone := false
	for r.effect && len(left) > 0 && !wantGone {
		needsGroup := outcome == medispatcher.Failed || outcome == medispatcher.Exhausted
		if wantGone = needsGroup && !w.groups[channelKey(p, left[0].Subscription)]; !wantGone {
			n += w.ended(d, left[0])
			left = left[1:]
		}
	}
	if !r.known {
		return // still in hand, to settle again
	}
	w.require(gone == wantGone, "the channel is gone: %t; it should be %t", gone, wantGone)
	if outcome == medispatcher.Sent || outcome == medispatcher.Dropped {
		w.require(deleted == n, "%d were settled; it should be %d", deleted, n)
	}
	for _, h := range batch {
		// If a channel is gone, push settles again, each subscription by itself.
		if !gone || !w.groups[channelKey(p, h.Subscription)] {
			d.hand = slices.DeleteFunc(d.hand, func(x *inHand) bool { return x == h })
		}
	}
}

// ended applies a settlement to a copy. It returns 1 if the copy was there.
func (w *world) ended(d *dispatcher, h *inHand) int64 {
	c := w.copyWith(h.Channel, h.EntryID)
	if c == nil {
		return 0 // settled already, or moved
	}
	outcome := h.out.Outcome
	if outcome == medispatcher.Sent || outcome == medispatcher.Dropped {
		w.countOutcome(h.out)
		c.place, c.end, c.unowned = place{where: placeDeleted}, outcome.String(), false
		return 1
	}
	if c.where != placeBuried || c.owner != d.id {
		return 0 // another owner has it now
	}
	switch {
	case outcome == medispatcher.Released:
		c.place = place{where: placeRetrying, attempt: c.attempt, due: dueNow, entry: c.entry}
	case c.attempt != h.Attempt:
		// The same dispatcher is making another attempt. This outcome is of an earlier one, which
		// others gave back and finished long ago.
	case outcome == medispatcher.Failed:
		c.place = place{where: placeRetrying, attempt: c.attempt + 1, due: w.now + h.out.Delay.Milliseconds(), entry: c.entry}
		c.failed, c.tried = true, h.Attempt
		w.countOutcome(h.out)
	case outcome == medispatcher.Exhausted:
		c.place, c.failed = place{where: placeDead}, false
		w.countOutcome(h.out)
	}
	return 1
}

// countOutcome counts a settlement that took effect.
func (w *world) countOutcome(s *medispatcher.Settlement) {
	w.count(s.Outcome.String() + ":" + s.Subscription)
	if s.Failure != nil && (s.Outcome == medispatcher.Exhausted || s.Outcome == medispatcher.Dropped) {
		w.count("failed:" + s.Subscription) // the last attempt failed
	}
	if s.Attempt > 1 {
		w.count("retried:" + s.Subscription)
	}
}

// count adds one to a count, and to the sum of its kind.
func (w *world) count(what string) {
	w.counts[what]++
	if kind, _, ok := strings.Cut(what, ":"); ok {
		w.counts[kind+":"]++
	}
}
