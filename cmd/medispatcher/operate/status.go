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
	st.Totals = medispatcher.TotalsOf(st.Subscriptions)
	return st, nil
}

// Pick reads subscriptions one by one.
type Pick interface {
	IDs(ctx context.Context) (ids []string, revision int64, err error)
	Some(ctx context.Context, ids []string) (subs []*medispatcher.Subscription, unusable []string, err error)
}

// Part is Status with at most so many subscriptions. Of more it lists those that need attention and then those with the most messages,
// the most urgent first. It reads the documents of the listed ones alone, so its cost does not grow with the others.
func Part(ctx context.Context, registry Pick, counts Counts, most int) (medispatcher.Status, error) {
	var st medispatcher.Status
	ids, revision, err := registry.IDs(ctx)
	if err != nil {
		return st, err
	}
	st.Revision = revision
	if st.Incoming, err = counts.IncomingStatus(ctx); err != nil {
		return st, err
	}
	list, err := counts.ChannelStatus(ctx, ids)
	if err != nil {
		return st, err
	}
	st.Totals = medispatcher.TotalsOf(list)
	if st.Dispatchers, err = Dispatchers(ctx, counts); err != nil {
		return st, err
	}
	if len(list) > most {
		held := holders(st.Dispatchers)
		for i := range list {
			if len(held[list[i].ID]) > 0 {
				list[i].State = medispatcher.BreakerOpen
			}
		}
		list = ByUrgency(list)[:most]
	}
	ids = ids[:0]
	for i := range list {
		ids = append(ids, list[i].ID)
	}
	subs, _, err := registry.Some(ctx, ids)
	if err != nil {
		return st, err
	}
	st.Subscriptions = describe(list, subs, st.Dispatchers, counts)
	return st, nil
}

// Channels is the state of some subscriptions, sorted by id, and the dispatchers, from which the open
// breakers are known. Neither is nil.
func Channels(ctx context.Context, counts Counts, subs []*medispatcher.Subscription) ([]medispatcher.ChannelStatus, []medispatcher.Dispatcher, error) {
	ids := make([]string, len(subs))
	for i, s := range subs {
		ids[i] = s.ID
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
	return describe(list, subs, dispatchers, counts), dispatchers, nil
}

// describe adds to counts what subscriptions and dispatchers say of them. Counts of no subscription are left out.
func describe(list []medispatcher.ChannelStatus, subs []*medispatcher.Subscription, dispatchers []medispatcher.Dispatcher, counts Counts) []medispatcher.ChannelStatus {
	byID := make(map[string]*medispatcher.Subscription, len(subs))
	for _, s := range subs {
		byID[s.ID] = s
	}
	held, shares := holders(dispatchers), counts.Dividing(dispatchers)
	out := list[:0]
	for _, c := range list {
		sub := byID[c.ID]
		if sub == nil {
			continue
		}
		c.Topic, c.State = sub.Topic, StateOf(sub)
		if by := held[c.ID]; c.State == medispatcher.Active && len(by) > 0 {
			c.State, c.HeldBy = medispatcher.BreakerOpen, by
		}
		if sub.Divided() {
			c.Shares = slices.DeleteFunc(shares(sub), func(s medispatcher.Share) bool { return s.Pushes+s.Retries == 0 })
		}
		out = append(out, c)
	}
	return out
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
