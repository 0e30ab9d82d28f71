package streams_test

import (
	"errors"
	"slices"
	"strconv"

	"pgregory.net/rapid"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/streams/streamstest"
)

// outcome says whether a step took effect, and whether its dispatcher knows.
type stepped struct{ effect, known bool }

// try runs a step of a dispatcher: without a fault, with its command refused, or with its reply lost.
func (w *world) try(t *rapid.T, d *dispatcher, what string, step func() error, commands ...string) stepped {
	fault := rapid.SampledFrom([]streamstest.Fault{"", "", "", "", streamstest.Before, streamstest.After}).Draw(t, "fault")
	d.faults.Next(fault, 1, commands...)
	if fault == "" {
		d.faults.Next("", 0)
	}
	w.touched = true
	err := step()
	hit := d.faults.Matched() > 0
	d.faults.Next("", 0)
	switch {
	case hit && !errors.Is(err, streamstest.ErrInjected):
		w.require(false, "%s %s: the fault is swallowed: %v", d.id, what, err)
	case hit && fault == streamstest.Before:
		w.say("%s %s: does not reach Redis", d.id, what)
		return stepped{}
	case hit:
		w.say("%s %s: the reply is lost", d.id, what)
		return stepped{effect: true}
	}
	w.say("%s %s", d.id, what)
	w.ok(err)
	return stepped{true, true}
}

func (w *world) one(t *rapid.T) *dispatcher {
	return w.dispatchers[rapid.IntRange(0, len(w.dispatchers)-1).Draw(t, "dispatcher")]
}

// partition draws a partition, mostly the first one, so that messages meet.
func partition(t *rapid.T) int { return rapid.SampledFrom([]int{0, 0, 0, 1}).Draw(t, "partition") }

// channel draws a channel with a copy for which where is true, if there is one, and at times any other.
func (w *world) channel(t *rapid.T, where func(*copyOf) bool) medispatcher.Channel {
	var list []medispatcher.Channel
	for _, c := range w.copies {
		if where(c) && !slices.Contains(list, c.Channel) {
			list = append(list, c.Channel)
		}
	}
	if len(list) > 0 && rapid.IntRange(0, 9).Draw(t, "any") < 9 {
		return rapid.SampledFrom(list).Draw(t, "channel")
	}
	return medispatcher.Channel{Partition: partition(t), Subscription: rapid.SampledFrom(modelIDs).Draw(t, "subscription")}
}

// keysOf has a message key for each partition.
var keysOf = func() (keys [modelPartitions]string) {
	for i := 0; slices.Contains(keys[:], ""); i++ {
		k := "k" + strconv.Itoa(i)
		keys[medispatcher.Partition(k, "", modelPartitions)] = k
	}
	return keys
}()
