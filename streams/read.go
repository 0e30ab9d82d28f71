package streams

import (
	"context"
	"errors"
	"slices"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/streams/internal/entry"
	"github.com/solate/medispatcher/streams/internal/rdb"
)

// Read takes new messages of channels: READY → BURIED, owned by this process.
// All channels share one round trip, unless its answer did not come through lately. A channel without a group gets one, and is
// read at the next call. The deliveries are valid even with an error: it names only
// the channels that could not be read. If the reply of such a read was lost, this
// process may own entries without knowing; see Mine.
func (s *Store) Read(ctx context.Context, wants []medispatcher.Want) ([]medispatcher.Delivery, error) {
	all := 0
	for i := range wants {
		all += wants[i].Max
	}
	most := s.reads.of(all)
	if most < all {
		return s.readInParts(ctx, wants, most)
	}
	deliveries, errs := s.readOnce(ctx, wants)
	err := errors.Join(errs...)
	s.reads.note(all, err)
	return deliveries, err
}

// readInParts is Read in several round trips, each for so many messages at most.
func (s *Store) readInParts(ctx context.Context, wants []medispatcher.Want, most int) (deliveries []medispatcher.Delivery, err error) {
	var errs []error
	for left := slices.Clone(wants); len(left) > 0; {
		part, asked := left[:0:0], 0
		for i := 0; i < len(left) && asked < most; i++ {
			w := left[i]
			w.Max = min(w.Max, most-asked)
			part, asked = append(part, w), asked+w.Max
		}
		got, failed := s.readOnce(ctx, part)
		deliveries, errs = append(deliveries, got...), append(errs, failed...)
		err := errors.Join(failed...)
		s.reads.note(asked, err)
		read := map[medispatcher.Channel]int{}
		for i := range got {
			read[got[i].Channel] += 1 + len(got[i].Run)
		}
		last := len(part) - 1
		more := read[part[last].Channel] >= part[last].Max && part[last].Max < left[last].Max
		if left = left[last:]; more {
			left[0].Max -= read[left[0].Channel]
		} else {
			left = left[1:]
		}
		if cutOff(err) {
			for _, w := range left {
				errs = append(errs, &medispatcher.ChannelError{Channel: w.Channel, Err: err})
			}
			break
		}
	}
	return deliveries, errors.Join(errs...)
}

// readOnce is Read in one round trip.
func (s *Store) readOnce(ctx context.Context, wants []medispatcher.Want) (deliveries []medispatcher.Delivery, errs []error) {
	pipe := s.db.Pipe(ctx)
	cmds := make([]*rdb.Reply[int], len(wants))
	again := make([]func(context.Context) error, len(wants))
	for i, w := range wants {
		if w.Runs {
			cmds[i], again[i] = s.readRuns(pipe, w, func(d medispatcher.Delivery) { deliveries = append(deliveries, d) })
			continue
		}
		take := func(e rdb.Entry) { deliveries = append(deliveries, entry.Delivery(w.Channel, e.ID, 1, e.Fields)) }
		cmds[i] = rdb.ReadGroup(pipe, take, "XREADGROUP", "GROUP", rdb.GroupPush, s.cfg.ID, "COUNT", w.Max, "STREAMS", s.keys.Channel(w.Partition, w.Subscription), ">")
	}
	_ = pipe.Run() // each command has its own error
	for i, cmd := range cmds {
		before := len(deliveries)
		err := cmd.Err()
		if rdb.IsNoScript(err) {
			err = again[i](ctx)
		}
		if rdb.IsNoGroup(err) {
			err = s.createGroup(ctx, s.keys.Channel(wants[i].Partition, wants[i].Subscription), rdb.GroupPush)
			if err == nil {
				err = medispatcher.ErrGroupCreated
			}
		}
		if err := rdb.Failed("read "+wants[i].Subscription, err); err != nil {
			errs = append(errs, &medispatcher.ChannelError{Channel: wants[i].Channel, Err: err})
			deliveries = deliveries[:before] // Mine finds them
		}
	}
	return deliveries, errs
}
