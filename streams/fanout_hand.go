package streams

import (
	"context"

	"github.com/solate/medispatcher"
)

// offer counts the copies that a step makes for each channel, in the order of the channels' first copies. largest
// is the size of the largest body. A step that hands copies over saves a round trip, which is most of the way that a message
// makes through Redis, and their bodies do not leave Redis again. Without offers the step does not hand over.
func (w *FanoutWorker) offer(step []Routing) (offers []medispatcher.Want, largest int) {
	if w.Events.Hand == nil {
		return nil, 0
	}
	at := map[string]int{}
	for i := range step {
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
	return offers, largest
}

// move runs a step. taken is how many copies it handed over, by subscription.
func (w *FanoutWorker) move(ctx context.Context, by RoutedBy, step []Routing) (routed []Routed, taken map[string]int, err error) {
	var wants []medispatcher.Want
	var took func([]medispatcher.Delivery, error)
	if offers, largest := w.offer(step); len(offers) > 0 {
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
