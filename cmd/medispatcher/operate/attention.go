package operate

import (
	"cmp"
	"slices"
	"time"

	"github.com/solate/medispatcher"
)

// waitingLong is the age at which a message in a channel is reported.
const waitingLong = time.Minute

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
