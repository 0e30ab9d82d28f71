package streams

import (
	"context"
	"slices"

	"github.com/solate/medispatcher/streams/internal/rdb"
)

// filterCountsAtOnce bounds the names that one step counts: it holds Redis for a millisecond or two.
const filterCountsAtOnce = 200

// filterCountsScript counts what filters did.
//
// KEYS 1–4 counts. ARGV pairs of a name and a number. Returns nothing. It must not be repeated.
var filterCountsScript = rdb.NewScript(countLua + `
for i = 1, #ARGV, 2 do note(ARGV[i], tonumber(ARGV[i + 1])) end
count_noted()
`)

// FilterCounts is what the filter of a subscription did.
type FilterCounts struct {
	Filtered int64 // messages that it refused
	Failed   int64 // messages at which it failed, so that they were copied
}

// AddFilterCounts counts what the filters of subscriptions did at the messages of a partition. A message may have
// thousands of subscriptions with a filter, and copies nothing to most of them: so this is no part of the fan-out, which it would
// slow down a hundred times. The caller must not repeat it after an error: if only the reply was lost, they are counted.
func (s *Store) AddFilterCounts(ctx context.Context, p int, counts map[string]FilterCounts) error {
	argv := make([]any, 0, 4*len(counts))
	for sub, n := range counts {
		if n.Filtered > 0 {
			argv = append(argv, "filtered:"+sub, n.Filtered)
		}
		if n.Failed > 0 {
			argv = append(argv, "filter_failed:"+sub, n.Failed)
		}
	}
	for part := range slices.Chunk(argv, 2*filterCountsAtOnce) {
		if _, err := filterCountsScript.Run(ctx, s.db, s.countKeys(p), part...).Result(); err != nil && !rdb.IsNil(err) {
			return rdb.Failed("count what filters did", err)
		}
	}
	return nil
}
