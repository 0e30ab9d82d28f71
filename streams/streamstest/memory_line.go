package streamstest

import (
	"slices"
	"time"

	"github.com/solate/medispatcher"
)

// memoryLine is the messages of a key, of which one is in the channel.
type memoryLine struct {
	from   int64 // the number of the first that waits
	behind []*memoryEntry
}

// waits has a message wait if another one of its key is in the channel.
func (ch *memoryChannel) waits(e *memoryEntry) bool {
	key := e.delivery.Message.Key
	line := ch.lines[key]
	switch {
	case key == "":
		return false
	case line == nil:
		ch.lines[key] = &memoryLine{from: 1}
		return false
	}
	line.behind = append(line.behind, e)
	return true
}

// leave takes a message out of the channel for good. The next one of its key becomes READY.
func (ch *memoryChannel) leave(e *memoryEntry) {
	delete(ch.pending, e.delivery.EntryID)
	key := e.delivery.Message.Key
	line := ch.lines[key]
	switch {
	case line == nil:
	case len(line.behind) == 0:
		delete(ch.lines, key)
	default:
		next := line.behind[0]
		line.from, line.behind = line.from+1, line.behind[1:]
		next.delivery.Attempt = 1
		ch.ready = append(ch.ready, next)
	}
}

// attachRuns gives deliveries what waits behind them.
func (ch *memoryChannel) attachRuns(list []medispatcher.Delivery, most int) {
	for i := range list {
		d := &list[i]
		line := ch.lines[d.Message.Key]
		if line == nil {
			continue
		}
		d.RunFrom = line.from
		for _, e := range line.behind {
			if most == 0 || e.delivery.Due.After(time.Now()) {
				break
			}
			r := e.delivery
			r.EntryID, r.Attempt = "", r.Tried+1
			d.Run = append(d.Run, r)
			most--
		}
	}
}

// settleRun settles what was sent behind a message.
func (q *Memory) settleRun(ch *memoryChannel, e *memoryEntry, s *medispatcher.Settlement) {
	line := ch.lines[e.delivery.Message.Key]
	if line == nil || len(s.Run) == 0 || line.from != s.RunFrom {
		return
	}
	var stay []*memoryEntry
	for i, out := range s.Run {
		of := line.behind[i]
		if out.Outcome != medispatcher.Released {
			q.counts[out.Outcome.String()+":"+s.Subscription]++
		}
		if out.Outcome == medispatcher.Failed {
			of.delivery.Tried, of.delivery.Due, of.delivery.Failure = out.Attempt, time.Now().Add(out.Delay), out.Failure
		}
		if out.Outcome != medispatcher.Sent {
			stay = append(stay, of)
		}
	}
	line.from += int64(len(s.Run) - len(stay))
	line.behind = slices.Concat(stay, line.behind[len(s.Run):])
}
