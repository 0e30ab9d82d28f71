package operate

import (
	"cmp"
	"slices"
	"time"

	"github.com/solate/medispatcher"
)

// waitingLong is the age at which a message in a channel is reported.
const waitingLong = time.Minute

// Busy reports whether a subscription holds messages, or its breaker is open.
func Busy(c *medispatcher.ChannelStatus) bool {
	return c.Ready+c.Buried+c.Dead > 0 || c.State == medispatcher.BreakerOpen
}

// Late reports whether messages wait too long for a subscription that is not paused.
func Late(c *medispatcher.ChannelStatus) bool {
	return c.State != medispatcher.Paused && c.Ready > 0 && c.OldestMS > waitingLong.Milliseconds()
}

// Attention are the subscriptions that need attention, the most urgent first: those with an open breaker, with dead
// letters, with retries, with messages that wait too long.
func Attention(list []medispatcher.ChannelStatus) (urgent []medispatcher.ChannelStatus) {
	for i := range list {
		if c := &list[i]; c.State == medispatcher.BreakerOpen || c.Retrying > 0 || c.Dead > 0 || Late(c) {
			urgent = append(urgent, *c)
		}
	}
	slices.SortStableFunc(urgent, func(x, y medispatcher.ChannelStatus) int { return cmp.Compare(urgency(&y), urgency(&x)) })
	return urgent
}

// ByUrgency are all subscriptions: those that need attention, then those with the most messages.
func ByUrgency(list []medispatcher.ChannelStatus) []medispatcher.ChannelStatus {
	out := Attention(list)
	urgent := make(map[string]bool, len(out))
	for i := range out {
		urgent[out[i].ID] = true
	}
	first := len(out)
	for i := range list {
		if !urgent[list[i].ID] {
			out = append(out, list[i])
		}
	}
	slices.SortStableFunc(out[first:], func(x, y medispatcher.ChannelStatus) int { return cmp.Compare(y.Ready+y.Buried, x.Ready+x.Buried) })
	return out
}

func urgency(c *medispatcher.ChannelStatus) int64 {
	const much = 1 << 50
	switch {
	case c.State == medispatcher.BreakerOpen:
		return 3*much + c.Ready + c.Buried
	case c.Dead > 0:
		return 2*much + c.Dead
	case c.Retrying > 0:
		return much + c.Retrying
	}
	return c.Ready
}
