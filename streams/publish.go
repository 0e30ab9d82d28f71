package streams

import (
	"context"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/streams/internal/entry"
	"github.com/solate/medispatcher/streams/internal/rdb"
)

// Publish writes a message to the incoming stream of its partition and returns
// the id that subscribers will see. After an error whose cause is a lost reply the
// message may have been accepted: repeating it is safe only with an ID of its own.
func (s *Store) Publish(ctx context.Context, m medispatcher.Message) (string, error) {
	ids, err := s.PublishAll(ctx, []medispatcher.Message{m})
	return ids[0], err
}

// PublishAll is Publish for many messages in one round trip. Where an id is empty, that
// message was not accepted, or nobody knows whether it was; the error says why.
func (s *Store) PublishAll(ctx context.Context, messages []medispatcher.Message) ([]string, error) {
	pipe := s.db.Pipe(ctx)
	cmds := make([]*rdb.Reply[string], len(messages))
	partitions := make([]int, len(messages))
	for i, m := range messages {
		partitions[i] = medispatcher.Partition(m.Key, m.ID, s.cfg.Partitions)
		cmds[i] = rdb.Text(pipe, append([]any{"XADD", s.keys.Incoming(partitions[i]), "*"}, entry.Values(m)...)...)
	}
	err := pipe.Run()
	ids := make([]string, len(messages))
	for i, cmd := range cmds {
		switch {
		case cmd.Err() != nil:
		case messages[i].ID != "":
			ids[i] = messages[i].ID
		default:
			ids[i] = rdb.GeneratedID(partitions[i], cmd.Val())
		}
	}
	return ids, rdb.Failed("publish", err)
}
