package streams

import (
	"context"
	"strings"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/streams/internal/rdb"
)

// kickLineScript makes due now what failed behind others of its key and waits in their line: else each would be put off by itself, as
// soon as the one before it is delivered. What was not tried needs no due time, and stands behind what was.
//
// KEYS 1 line, 2 wait. ARGV now in ms, due time, "1" to change nothing, number to begin with at the first key (0: its first), keys.
// Returns {copies made due, how many keys are done, number to go on with at the next}.
//
// Safe to repeat: what it made due is left alone. A step ends after stepBytes. A short copy counts as 1 KiB, because each takes two commands.
var kickLineScript = rdb.NewScript(`local function note() end` + lineLua + `
local now, due = tonumber(ARGV[1]), ARGV[2]
-- kicked returns the copy made due, and whether that changes it; nil if it was not tried.
local function kicked(packed)
  local fields = line_fields(packed)
  if #fields == 2 and fields[1] == 'm' then
    local stop = string.find(packed, '\n\n', 1, true)
    local before, at, after = string.match(string.sub(packed, 1, stop or 0), '^(.*\ntried %d+ )(%d+)(.*)$')
    if not at then return nil end
    return before .. due .. after .. string.sub(packed, stop + 1), tonumber(at) > now
  end
  for i = 1, #fields, 2 do
    local before, at, after = string.match(fields[i] == '~tried' and fields[i + 1] or '', '^(%d+ )(%d+)(.*)$')
    if at then
      fields[i + 1] = before .. due .. after
      return line_pack(fields, #fields), tonumber(at) > now
    end
  end
end
local made, from = 0, tonumber(ARGV[4])
for i = 5, #ARGV do
  local _, first, last = line_of(KEYS[1], ARGV[i])
  for number = math.max(first, from), last do
    if line_room <= 0 then return {made, i - 5, string.format('%.0f', number)} end
    local place = line_place(number, ARGV[i])
    local packed = redis.pcall('HGET', KEYS[2], place)
    if type(packed) ~= 'string' then break end
    line_room = line_room - math.max(#packed, 1024)
    local is, changed = kicked(packed)
    if not is then break end
    if changed then
      if ARGV[3] ~= '1' then redis.call('HSET', KEYS[2], place, is) end
      made = made + 1
    end
  end
  from = 0
end
return {made, #ARGV - 4, '0'}
`)

// kickLines makes due now what failed behind others in the lines of a channel, and returns how many. With dryRun it only counts them.
func (s *Store) kickLines(ctx context.Context, c medispatcher.Channel, dryRun bool, nowMS int64) (made int, err error) {
	k := []string{s.keys.Line(c.Partition, c.Subscription), s.keys.Wait(c.Partition, c.Subscription)}
	for cursor := "0"; ; {
		page, err := rdb.Scan(s.db.With(ctx), "HSCAN", k[0], cursor, "COUNT", lookBatch).Result()
		if rdb.IsWrongType(err) {
			return made, nil
		}
		if err != nil {
			return made, rdb.Failed("find what failed in the lines of "+c.Subscription, err)
		}
		var keys []any
		for i := 0; i+1 < len(page.Items); i += 2 {
			if key, counts := strings.CutPrefix(page.Items[i], "c"); counts && strings.Contains(page.Items[i+1], " ") {
				keys = append(keys, key)
			}
		}
		for from := any(0); len(keys) > 0; {
			res, err := kickLineScript.Run(ctx, s.db, k, append([]any{nowMS, rdb.DueNow, dryRun, from}, keys...)...).Slice()
			if err == nil && len(res) != 3 {
				err = rdb.Unreadable("kick a line", res)
			}
			if err != nil {
				return made, rdb.Failed("make due what failed in the lines of "+c.Subscription, err)
			}
			made += rdb.ToInt(res[0])
			keys, from = keys[min(len(keys), rdb.ToInt(res[1])):], res[2]
		}
		if cursor = page.Next; cursor == "0" {
			return made, nil
		}
	}
}
