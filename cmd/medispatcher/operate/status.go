package operate

import (
	"cmp"
	"context"
	"errors"
	"slices"

	"github.com/solate/medispatcher"
)

// Subscriptions are the subscriptions, no older than the call, and their revision.
type Subscriptions interface {
	Subscriptions(ctx context.Context) (subs *medispatcher.Subscriptions, revision int64, err error)
}

// Counts is the state of the messages and of the dispatchers.
type Counts interface {
	ChannelStatus(ctx context.Context, ids []string) ([]medispatcher.ChannelStatus, error)
	IncomingStatus(ctx context.Context) (medispatcher.IncomingStatus, error)
	Dispatchers(ctx context.Context) ([]medispatcher.Dispatcher, error)
	// Dividing says what each of some dispatchers may have in flight of a subscription.
	Dividing(among []medispatcher.Dispatcher) func(sub *medispatcher.Subscription) []medispatcher.Share
}

// Status is the state of the whole system. Its lists are sorted by id and never nil.
func Status(ctx context.Context, registry Subscriptions, counts Counts) (medispatcher.Status, error) {
	var st medispatcher.Status
	subs, revision, err := registry.Subscriptions(ctx)
	if err != nil {
		return st, err
	}
	st.Revision = revision
	if st.Incoming, err = counts.IncomingStatus(ctx); err != nil {
		return st, err
	}
	if st.Subscriptions, st.Dispatchers, err = Channels(ctx, counts, slices.Collect(subs.All())); err != nil {
		return st, err
	}
	return st, nil
}

// Channels is the state of some subscriptions, sorted by id, and the dispatchers, from which the open
// breakers are known. Neither is nil.
func Channels(ctx context.Context, counts Counts, subs []*medispatcher.Subscription) ([]medispatcher.ChannelStatus, []medispatcher.Dispatcher, error) {
	byID := make(map[string]*medispatcher.Subscription, len(subs))
	ids := make([]string, len(subs))
	for i, s := range subs {
		byID[s.ID], ids[i] = s, s.ID
	}
	slices.Sort(ids)
	list, err := counts.ChannelStatus(ctx, ids)
	if err != nil {
		return nil, nil, err
	}
	dispatchers, err := Dispatchers(ctx, counts)
	if err != nil {
		return nil, nil, err
	}
	held, shares := holders(dispatchers), counts.Dividing(dispatchers)
	for i := range list {
		c := &list[i]
		c.Topic, c.State = byID[c.ID].Topic, StateOf(byID[c.ID])
		if by := held[c.ID]; c.State == medispatcher.Active && len(by) > 0 {
			c.State, c.HeldBy = medispatcher.BreakerOpen, by
		}
		if sub := byID[c.ID]; sub.Divided() {
			c.Shares = slices.DeleteFunc(shares(sub), func(s medispatcher.Share) bool { return s.Pushes+s.Retries == 0 })
		}
	}
	return list, dispatchers, nil
}

// HeldBack says why a subscription's messages are not pushed now: Paused, BreakerOpen, or "" when nothing holds them back.
func HeldBack(ctx context.Context, registry Registry, counts Counts, id string) (string, error) {
	sub, _, err := registry.Get(ctx, id)
	if _, unusable := errors.AsType[medispatcher.Problems](err); unusable || errors.Is(err, medispatcher.ErrNotFound) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	list, _, err := Channels(ctx, counts, []*medispatcher.Subscription{&sub})
	if err != nil || len(list) == 0 || list[0].State == medispatcher.Active {
		return "", err
	}
	return list[0].State, nil
}

// StateOf is the state of a subscription without regard to breakers.
func StateOf(s *medispatcher.Subscription) string {
	if s.Paused {
		return medispatcher.Paused
	}
	return medispatcher.Active
}

// holders are the living dispatchers that hold a subscription back, by its id.
func holders(dispatchers []medispatcher.Dispatcher) map[string][]medispatcher.Holder {
	by := map[string][]medispatcher.Holder{}
	for _, d := range dispatchers {
		for _, b := range d.Held {
			if d.Alive {
				by[b.Subscription] = append(by[b.Subscription], medispatcher.Holder{Dispatcher: d.ID, Since: b.Since})
			}
		}
	}
	return by
}

// Dispatchers lists every dispatcher that has a heartbeat, sorted by id, never nil.
func Dispatchers(ctx context.Context, counts Counts) ([]medispatcher.Dispatcher, error) {
	list, err := counts.Dispatchers(ctx)
	list = append([]medispatcher.Dispatcher{}, list...)
	slices.SortFunc(list, func(x, y medispatcher.Dispatcher) int { return cmp.Compare(x.ID, y.ID) })
	return list, err
}
