package streams

import (
	"context"
	"slices"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/solate/medispatcher"
)

// failingLooked is how many retrying messages of a partition are looked at, those that are
// due soonest: what failed lately waits least.
const failingLooked = 200

// namesScript reads which messages entries are, without taking bodies out of Redis.
//
// KEYS channel. ARGV entry ids. Returns for each {id, ~src, topic}, empty where it is gone.
// Reads only.
var namesScript = redis.NewScript(`
local out = {}
for i, id in ipairs(ARGV) do
  local found, names = redis.call('XRANGE', KEYS[1], id, id), {id = '', ['~src'] = '', topic = ''}
  if found[1] then
    local fields = found[1][2]
    for f = 1, #fields, 2 do
      if names[fields[f]] then names[fields[f]] = fields[f + 1] end
    end
  end
  out[i] = {names.id, names['~src'], names.topic}
end
return out
`)

// Failing lists up to limit messages of a subscription that failed and are tried again, those
// that failed last first. Of very many it looks at those alone that are due soonest.
func (s *Store) Failing(ctx context.Context, sub string, limit int) ([]medispatcher.Failing, error) {
	var list []medispatcher.Failing
	for p := range s.cfg.Partitions {
		due, err := s.client.ZRangeWithScores(ctx, s.keys.retry(p, sub), 0, failingLooked-1).Result()
		if err != nil {
			return nil, failed("list failing messages of "+sub, err)
		}
		if len(due) == 0 {
			continue
		}
		ids := make([]string, len(due))
		for i, d := range due {
			ids[i], _ = d.Member.(string)
		}
		records, err := s.client.HMGet(ctx, s.keys.failures(p, sub), ids...).Result()
		if err != nil {
			return nil, failed("list failing messages of "+sub, err)
		}
		for i, r := range records {
			record, has := r.(string)
			if !has {
				continue // given back, not failed
			}
			if f := decodeFailure(record); f != nil {
				list = append(list, medispatcher.Failing{Partition: p, Entry: ids[i], Due: time.UnixMilli(int64(due[i].Score)), Failure: f})
			}
		}
	}
	slices.SortStableFunc(list, func(x, y medispatcher.Failing) int { return y.Failure.LastAt.Compare(x.Failure.LastAt) })
	list = list[:min(len(list), limit)]
	return list, s.nameFailing(ctx, sub, list)
}

func (s *Store) nameFailing(ctx context.Context, sub string, list []medispatcher.Failing) error {
	for p := range s.cfg.Partitions {
		var argv []any
		var of []*medispatcher.Failing
		for i := range list {
			if f := &list[i]; f.Partition == p {
				argv, of = append(argv, f.Entry), append(of, f)
			}
		}
		if len(argv) == 0 {
			continue
		}
		res, err := namesScript.Run(ctx, s.client, []string{s.keys.channel(p, sub)}, argv...).Slice()
		if err != nil {
			return failed("read failing messages of "+sub, err)
		}
		for i, r := range res {
			row, _ := r.([]any)
			if len(row) != 3 || i >= len(of) {
				return failed("read failing messages of "+sub, strconv.ErrSyntax)
			}
			id, _ := row[0].(string)
			src, _ := row[1].(string)
			of[i].Topic, _ = row[2].(string)
			if id == "" && src != "" {
				id = generatedID(p, src)
			}
			of[i].ID = id
		}
	}
	return nil
}
