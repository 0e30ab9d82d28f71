package streams

import (
	"context"
	"errors"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/streams/internal/entry"
	"github.com/solate/medispatcher/streams/internal/rdb"
)

// Read takes new messages of channels: READY → BURIED, owned by this process.
// All channels share one round trip. A channel without a group gets one, and is
// read at the next call. The deliveries are valid even with an error: it names only
// the channels that could not be read. If the reply of such a read was lost, this
// process may own entries without knowing; see Mine.
func (s *Store) Read(ctx context.Context, wants []medispatcher.Want) ([]medispatcher.Delivery, error) {
	pipe := s.db.Pipe(ctx)
	var deliveries []medispatcher.Delivery
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
	var errs []error
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
	return deliveries, errors.Join(errs...)
}
