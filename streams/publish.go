package streams

import (
	"context"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/streams/internal/rdb"
)

// Publish writes a message to the incoming stream of its partition and returns
// the id that subscribers will see. If the reply is lost, it returns an error although Redis
// may have accepted the message. Publishing it again is then safe only if it has an ID.
func (s *Store) Publish(ctx context.Context, m medispatcher.Message) (string, error) {
	ids, err := s.PublishAll(ctx, []medispatcher.Message{m})
	return ids[0], err
}

// PublishAll is Publish for many messages in one round trip. An empty id means that the
// message was not accepted, or that its reply was lost; the error says why.
func (s *Store) PublishAll(ctx context.Context, messages []medispatcher.Message) ([]string, error) {
	pipe := s.db.Pipe(ctx)
	cmds := make([]*rdb.Reply[string], len(messages))
	partitions := make([]int, len(messages))
	for i, m := range messages {
		partitions[i] = medispatcher.Partition(m.Key, m.ID, s.cfg.Spread)
		cmds[i] = rdb.Text(pipe, append([]any{"XADD", s.keys.Incoming(partitions[i]), "*"}, medispatcher.EncodeEntry(&m)...)...)
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
