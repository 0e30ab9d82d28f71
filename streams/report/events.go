package report

import (
	"context"
	"encoding/json"
	"errors"
	"strings"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/streams/internal/rdb"
)

// Recorded is an event of a message to record.
type Recorded struct {
	Partition int
	ID        string // the message's
	Event     medispatcher.Event
}

// eventsScript appends events to the records of their messages. Above a number of messages, it
// deletes the records that got no event for the longest time.
//
// KEYS events, ids of messages. ARGV messages kept, longest record in bytes, now in µs, then for each event: message id, event.
// Returns nothing.
//
// A repetition writes its events twice. That does no harm, because people only read them.
var eventsScript = rdb.NewScript(`
for i = 4, #ARGV, 2 do
  local had = redis.call('HGET', KEYS[1], ARGV[i]) or ''
  if #had < tonumber(ARGV[2]) then
    redis.call('HSET', KEYS[1], ARGV[i], had .. ARGV[i + 1] .. '\n')
  end
  redis.call('ZADD', KEYS[2], ARGV[3], ARGV[i])
end
local over = redis.call('ZCARD', KEYS[2]) - tonumber(ARGV[1])
if over > 0 then
  local old = redis.call('ZRANGE', KEYS[2], 0, math.min(over, 1000) - 1)
  redis.call('HDEL', KEYS[1], unpack(old))
  redis.call('ZREM', KEYS[2], unpack(old))
end
`)

// maxRecord bounds the events of one message, in bytes.
const maxRecord = 16 << 10

// RecordEvents records events. Each partition keeps those of the last keep messages.
func (r *Report) RecordEvents(ctx context.Context, keep int, entries []Recorded) error {
	byPartition := map[int][]any{}
	for _, e := range entries {
		event, err := json.Marshal(e.Event)
		if err != nil {
			return err
		}
		byPartition[e.Partition] = append(byPartition[e.Partition], e.ID, event)
	}
	var errs []error
	for p, argv := range byPartition {
		k := []string{r.keys.Part(p, "journal"), r.keys.Part(p, "journal:ids")}
		argv = append([]any{keep, maxRecord, r.db.Now().UnixMicro()}, argv...)
		if err := eventsScript.Run(ctx, r.db, k, argv...).Err(); err != nil && !rdb.IsNil(err) {
			errs = append(errs, rdb.Failed("record the events of messages", err))
		}
	}
	return errors.Join(errs...)
}

func (r *Report) readEvents(ctx context.Context, t trail, story *medispatcher.Story) error {
	id := t.id
	if id == "" {
		id = rdb.GeneratedID(t.p, t.entry)
	}
	lines, err := rdb.Text(r.db.With(ctx), "HGET", r.keys.Part(t.p, "journal"), id).Result()
	if err != nil {
		return rdb.Failed("read the events of a message", err)
	}
	for line := range strings.Lines(lines) {
		var e medispatcher.Event
		if json.Unmarshal([]byte(line), &e) == nil {
			story.Events = append(story.Events, e)
		}
	}
	return nil
}
