package streams

import (
	"context"
	"encoding/json"
	"strconv"

	"github.com/redis/go-redis/v9"

	"github.com/solate/medispatcher"
)

// Publish writes a message to the incoming stream of its partition and returns
// the id that subscribers will see. After an error whose cause is a lost reply the
// message may have been accepted: repeating it is safe only with an ID of its own.
func (s *Store) Publish(ctx context.Context, m medispatcher.Message) (string, error) {
	p := medispatcher.Partition(m.Key, m.ID, s.cfg.Partitions)
	entryID, err := s.client.XAdd(ctx, &redis.XAddArgs{Stream: s.keys.incoming(p), Values: entryValues(m)}).Result()
	if err != nil {
		return "", failed("publish", err)
	}
	if m.ID != "" {
		return m.ID, nil
	}
	return generatedID(p, entryID), nil
}

// generatedID is the id of a message whose producer gave none.
func generatedID(p int, entryID string) string {
	return strconv.Itoa(p) + "-" + entryID
}

func entryValues(m medispatcher.Message) []any {
	values := []any{"topic", m.Topic, "body", m.Body}
	for _, f := range []struct{ name, value string }{{"id", m.ID}, {"sender", m.Sender}, {"key", m.Key}, {"type", m.Type}} {
		if f.value != "" {
			values = append(values, f.name, f.value)
		}
	}
	if len(m.Headers) > 0 {
		headers, err := json.Marshal(m.Headers)
		if err != nil {
			panic(err) // a map of strings
		}
		values = append(values, "headers", headers)
	}
	if !m.Time.IsZero() {
		values = append(values, "time", m.Time.UnixMilli())
	}
	if m.Delay > 0 {
		values = append(values, "delay", m.Delay.Milliseconds())
	}
	return values
}
