package push

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/solate/medispatcher"
)

const (
	// lanesPerRead bounds the channels of one round trip, so that none waits for many.
	lanesPerRead = 64
	// maxRead bounds the messages taken from one channel at once.
	maxRead = 64
	// fullPause spaces the looks at a settle queue that is full.
	fullPause = 10 * time.Millisecond
)

// want is a lane and how many messages of it are asked for.
type want struct {
	lane *lane
	grant
}

// runFresh reads new messages of a partition for free slots until ctx ends.
func (s *Scheduler) runFresh(ctx context.Context, p int) error {
	pump := s.fresh[p]
	work := context.WithoutCancel(ctx)
	for {
		s.mu.Lock()
		next := pump.next(time.Now())
		s.mu.Unlock()
		if !pump.await(ctx, next) {
			return nil
		}
		if s.settle.full() {
			medispatcher.Sleep(ctx, fullPause)
			continue
		}
		if wants := s.reserveFresh(pump); len(wants) > 0 {
			s.readFresh(work, pump, wants)
		}
	}
}

// reserveFresh takes room for the lanes whose turn it is.
func (s *Scheduler) reserveFresh(pump *pump) []want {
	now := time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	var wants []want
	for _, l := range pump.take(now, lanesPerRead) {
		if !l.active || l.fresh.underWay || !l.live() {
			continue
		}
		n, at := l.sub.allowed(min(l.sub.room(), maxRead), now)
		if !at.IsZero() {
			pump.at(l, at)
			continue
		}
		if n == 0 {
			continue // a slot that becomes free, or the end of a probe, queues the lane again
		}
		g := s.budget.grant(l.sub, n, now)
		if g.n == 0 {
			pump.at(l, s.budget.again(l.sub, now))
			continue
		}
		s.callNext(now)
		l.sub.asked += g.n
		l.sub.breaker.probing = l.sub.breaker.open()
		l.begin(s)
		wants = append(wants, want{l, g})
	}
	return wants
}

// begin notes that a read of the lane is under way.
func (l *lane) begin(s *Scheduler) {
	l.rung, l.touched = false, true
	l.fresh.begin()
	s.touched[l.channel] = l
}

func (s *Scheduler) readFresh(ctx context.Context, pump *pump, wants []want) {
	asked := make([]medispatcher.Want, len(wants))
	for i, w := range wants {
		asked[i] = medispatcher.Want{Channel: w.lane.channel, Max: w.n}
	}
	deliveries, err := s.queue.Read(ctx, asked)
	problems := channelErrors(err, wants)
	now := time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	from := s.arrived(wants, deliveries)
	got := make(map[*lane]int, len(wants))
	for _, d := range deliveries {
		l := s.touched[d.Channel]
		got[l]++
		l.took(d.EntryID, s.take(l, &d, from[l]))
		if l.sub.fresh.free() == 0 {
			l.sub.ahead = append(l.sub.ahead, waiting{l, d})
			continue
		}
		l.sub.fresh.used++
		s.start(l, d, &l.sub.fresh, l.sub.turn(now))
	}
	for _, w := range wants {
		l := w.lane
		l.fresh.end()
		l.sub.asked -= w.n
		if got[l] == 0 {
			s.noProbe(l.sub)
		}
		switch problem := problems[l.channel]; {
		case errors.Is(problem, medispatcher.ErrGroupCreated):
			pump.now(l)
			continue
		case problem != nil:
			s.troubled(pump, l, problem)
			continue
		case got[l] < w.n && !l.rung:
			l.active = false // drained; the next doorbell wakes it
		default:
			s.gather(l)
		}
		l.back.Reset()
	}
}

// arrived ends what a read reserved, and tells from which part of the budget each lane's messages are.
func (s *Scheduler) arrived(wants []want, deliveries []medispatcher.Delivery) map[*lane]part {
	from := make(map[*lane]part, len(wants))
	for _, w := range wants {
		from[w.lane] = w.from
		s.budget.over(w.lane.sub, w.grant)
	}
	var sub *subscriber
	largest := int64(0)
	for i := range deliveries { // those of a subscription stand together
		of := s.touched[deliveries[i].Channel].sub
		if sub != of && sub != nil {
			sub.saw(largest)
			largest = 0
		}
		sub, largest = of, max(largest, bytesOf(of.settings, &deliveries[i].Message))
	}
	if sub != nil {
		sub.saw(largest)
	}
	return from
}

// take takes the room of a message that is here.
func (s *Scheduler) take(l *lane, d *medispatcher.Delivery, from part) held {
	h := held{bytesOf(l.sub.settings, &d.Message), from}
	s.budget.hold(l.sub, from, h.bytes)
	return h
}

// noProbe: the message that should have been the probe of an open breaker was not there.
func (s *Scheduler) noProbe(sub *subscriber) {
	if sub.breaker.probing {
		sub.breaker.probing = false
		s.freed(sub)
	}
}

// troubled puts a lane off whose read failed. Entries may have been taken all the
// same, so the sweep is told to compare.
func (s *Scheduler) troubled(pump *pump, l *lane, problem error) {
	if l.back.Failures() == 0 {
		s.news.log(slog.LevelWarn, "a channel cannot be read", "subscription", l.channel.Subscription, "partition", l.channel.Partition, "error", problem)
	}
	l.failed()
	pump.at(l, time.Now().Add(l.back.Next()))
}

// channelErrors sorts the errors of a read by channel. An error that names no
// channel is everybody's.
func channelErrors(err error, wants []want) map[medispatcher.Channel]error {
	if err == nil {
		return nil
	}
	problems := map[medispatcher.Channel]error{}
	list := []error{err}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		list = joined.Unwrap()
	}
	for _, e := range list {
		if ce, ok := errors.AsType[*medispatcher.ChannelError](e); ok {
			problems[ce.Channel] = ce.Err
			continue
		}
		for _, w := range wants {
			problems[w.lane.channel] = e
		}
	}
	return problems
}
