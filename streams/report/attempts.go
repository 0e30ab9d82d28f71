package report

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/streams/internal/rdb"
)

const (
	// attemptsLeast is the fewest attempts that the list of a subscription has room for. attemptsRoom is the room of all lists
	// together, some 30 MB of Redis.
	attemptsLeast = 10
	attemptsRoom  = 100_000
	// attemptsFor is how long the list of a subscription is kept to which nothing is added.
	attemptsFor = 24 * time.Hour
	// attemptBytes bounds an attempt in the list.
	attemptBytes = 2 << 10
	// attemptsChunk is the most lists of a round trip.
	attemptsChunk = 100
)

// Attempts are attempts of one subscription, the earliest first.
type Attempts struct {
	Subscription string
	Ended        []medispatcher.Attempt
}

// AddAttempts adds to the lists of deliveries. subs is how many subscriptions there are, which share the room. The caller
// need not repeat it after an error: people alone read the lists.
func (r *Report) AddAttempts(ctx context.Context, subs int, lists []Attempts) error {
	keep := min(max(attemptsRoom/max(1, subs), attemptsLeast), medispatcher.AttemptsKept)
	for chunk := range slices.Chunk(lists, attemptsChunk) {
		pipe := r.db.Pipe(ctx)
		for _, l := range chunk {
			key := r.keys.Deliveries(l.Subscription)
			args := []any{"LPUSH", key}
			for i := range l.Ended {
				if record := encodeAttempt(l.Ended[i]); record != nil {
					args = append(args, record)
				}
			}
			if len(args) == 2 {
				continue
			}
			rdb.Int(pipe, args...)
			rdb.Int(pipe, "EXPIRE", key, int64(attemptsFor/time.Second))
			rdb.Text(pipe, "LTRIM", key, 0, keep-1)
		}
		if err := pipe.Run(); err != nil {
			return rdb.Failed("note deliveries", err)
		}
	}
	return nil
}

// encodeAttempt writes an attempt; nil if even without its texts it is too large. JSON may write a byte as six.
func encodeAttempt(a medispatcher.Attempt) []byte {
	for _, shorten := range []func(){func() {}, func() { a.Answer = "" }, func() { a.Error = medispatcher.CutText(a.Error, 32) }, func() { a.Target = "" }} {
		shorten()
		if record, err := json.Marshal(a); err == nil && len(record) <= attemptBytes {
			return record
		}
	}
	return nil
}

// Attempts lists the latest attempts of a subscription that were noted, the latest first.
func (r *Report) Attempts(ctx context.Context, sub string) ([]medispatcher.Attempt, error) {
	records, err := rdb.Texts(r.db.With(ctx), "LRANGE", r.keys.Deliveries(sub), 0, medispatcher.AttemptsKept-1).Result()
	if err != nil {
		return nil, rdb.Failed("list deliveries of "+sub, err)
	}
	list := make([]medispatcher.Attempt, 0, len(records))
	for _, record := range records {
		var a medispatcher.Attempt
		if json.Unmarshal([]byte(record), &a) == nil {
			list = append(list, a)
		}
	}
	slices.SortFunc(list, func(x, y medispatcher.Attempt) int {
		if x.Before(&y) {
			return -1
		}
		return 1
	})
	// A list that was written a second time after a lost reply has them twice.
	return slices.CompactFunc(list, func(x, y medispatcher.Attempt) bool { return x.ID == y.ID }), nil
}
