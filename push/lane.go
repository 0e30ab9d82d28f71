package push

import (
	"time"

	"github.com/solate/medispatcher"
)

// lane is one channel: a subscription in one partition. Guarded by the mutex of lanes.
type lane struct {
	channel medispatcher.Channel
	sub     *subscriber

	active   bool      // there may be READY messages
	rung     bool      // a doorbell rang since the last read began
	spilled  time.Time // when others were told last that there is more than this process can take; zero: not since it was empty
	dueWaits bool      // due messages wait for a retry slot
	dueLeft  time.Time // when others were told last of due messages that this process takes none of
	touched  bool      // this process's consumer may exist in the group
	idle     int       // sweeps that found nothing to do
	back     medispatcher.Backoff
	inflight
}

// live reports whether the lane may be read.
func (l *lane) live() bool { return l.sub.live() }
