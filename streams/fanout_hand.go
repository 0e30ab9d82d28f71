package streams

import (
	"context"

	"github.com/solate/medispatcher"
)

// A step of few and small messages may read some of its copies for this dispatcher. That saves a round trip,
// which is most of the way that such a message makes through Redis. What a script reads passes through Lua, which
// costs far more than a read.
const (
	handEntries = 16
	handBytes   = 64 << 10
)

// offer counts the copies that a step makes for each channel, in the order of the channels' first copies. largest
// is the size of the largest body. Without offers the step does not hand over.
func (w *FanoutWorker) offer(hand []inHand, step []Routing) (offers []medispatcher.Want, largest int) {
	if w.Events.Hand == nil || len(step) > handEntries {
		return nil, 0
	}
	at, bytes := map[string]int{}, 0
	for i := range step {
		bytes += hand[i].size * len(step[i].Subs)
		largest = max(largest, len(step[i].Message.Body))
		for _, sub := range step[i].Subs {
			n, known := at[sub]
			if !known {
				n = len(offers)
				at[sub] = n
				offers = append(offers, medispatcher.Want{Channel: medispatcher.Channel{Partition: w.Partition, Subscription: sub}})
			}
			offers[n].Max++
		}
	}
	if bytes > handBytes {
		return nil, 0
	}
	return offers, largest
}

// move runs a step. taken is how many copies it handed over, by subscription.
func (w *FanoutWorker) move(ctx context.Context, by RoutedBy, hand []inHand, step []Routing) (routed []Routed, taken map[string]int, err error) {
	var wants []medispatcher.Want
	var took func([]medispatcher.Delivery, error)
	if offers, largest := w.offer(hand, step); len(offers) > 0 {
		wants, took = w.Events.Hand(offers, largest)
	}
	if len(wants) == 0 {
		routed, _, err = w.Store.FanoutHand(ctx, w.Partition, by, step, nil)
		return routed, nil, err
	}
	routed, deliveries, err := w.Store.FanoutHand(ctx, w.Partition, by, step, wants)
	if routed == nil {
		took(nil, err)
		return nil, nil, err
	}
	taken = map[string]int{}
	for i := range deliveries {
		taken[deliveries[i].Subscription]++
	}
	took(deliveries, nil)
	return routed, taken, err
}
