package streams

import (
	"context"
	"time"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/streams/internal/entry"
	"github.com/solate/medispatcher/streams/internal/rdb"
)

// A run is the messages of a key that wait right behind the one in the channel. Whoever owns that one may send them with it:
// nobody else sends anything of the key meanwhile. They stay in the line until their outcome is known, so a crash, a give-back
// or a retry of the first concerns it alone, and nobody has to know of a run but the dispatcher that sends it.

// runLua follows lineLua in a script that reads runs.
const runLua = `
-- runs returns {number of the entry in ids, number of the first copy, fields…} for each run: up to most copies in all, shared out evenly.
local function runs(line, wait, ids, most)
  local out, found = {}, {}
  if most <= 0 or #ids == 0 or redis.call('EXISTS', wait) == 0 or line_get(line, '~') ~= 'on' then return out end
  for from = 1, #ids, 1000 do
    local fields = {}
    for i = from, math.min(#ids, from + 999) do fields[#fields + 1] = 'b' .. ids[i] end
    for i, key in ipairs(redis.call('HMGET', line, unpack(fields))) do
      if key then
        local n, first, last = line_of(line, key)
        if n == 1 and first <= last and #found < 1000 then found[#found + 1] = {from + i - 1, key, first, last} end
      end
    end
  end
  if #found == 0 then return out end
  local marks = {'~runs', ''}
  for i, f in ipairs(found) do marks[2 * i + 1], marks[2 * i + 2] = 'r' .. ids[f[1]], '' end
  if type(redis.pcall('HSET', line, unpack(marks))) ~= 'number' then return out end -- out of memory: there are no runs
  for i, f in ipairs(found) do
    local share = math.ceil(most / (#found - i + 1))
    local run = {f[1], string.format('%.0f', f[3])}
    for number = f[3], math.min(f[4], f[3] + share - 1) do
      if line_room <= 0 then break end
      local packed = redis.pcall('HGET', wait, line_place(number, f[2]))
      if type(packed) ~= 'string' then break end
      line_room = line_room - #packed
      run[#run + 1] = line_fields(packed)
    end
    most = most - #run + 2
    if #run > 2 then out[#out + 1] = run end
  end
  return out
end
`

// readRunsScript reads new messages of a channel, and what waits behind them.
//
// KEYS 1 channel, 2 line, 3 wait. ARGV consumer, most messages.
// Returns {entries, then as runs}.
//
// It is repeated no more than a read is: if the reply is lost, its entries are pending for the consumer, and Mine finds them.
var readRunsScript = rdb.NewScript(`local function note() end` + lineLua + runLua + `
local got = redis.call('XREADGROUP', 'GROUP', 'push', ARGV[1], 'COUNT', ARGV[2], 'STREAMS', KEYS[1], '>')
local entries = got and got[1] and got[1][2] or {}
local ids = {}
for i, e in ipairs(entries) do ids[i] = e[1] end
return {entries, unpack(runs(KEYS[2], KEYS[3], ids, ARGV[2] - #ids))}
`)

// readRuns sends readRunsScript. The answer is how many entries there were; take is called for each message.
func (s *Store) readRuns(pipe *rdb.Pipe, w medispatcher.Want, take func(medispatcher.Delivery)) (in *rdb.Reply[int], again func(context.Context) error) {
	p, sub := w.Partition, w.Subscription
	k := []string{s.keys.Channel(p, sub), s.keys.Line(p, sub), s.keys.Wait(p, sub)}
	decode := func(c *rdb.Cursor) int {
		runs := c.Len() - 1
		list := make([]medispatcher.Delivery, c.Len())
		for i := range list {
			e := c.Entry()
			list[i] = entry.Delivery(w.Channel, e.ID, 1, e.Fields)
		}
		for range runs {
			takeRun(c, list, s.db.Now())
		}
		for _, d := range list {
			take(d)
		}
		return len(list)
	}
	again = func(ctx context.Context) error {
		_, err := rdb.Read(ctx, s.db, readRunsScript, decode, k, s.cfg.ID, w.Max)
		return err
	}
	return rdb.ReadIn(pipe, readRunsScript, decode, k, s.cfg.ID, w.Max), again
}

// takeRun reads a run. It ends before a message whose next attempt is not due yet.
func takeRun(c *rdb.Cursor, of []medispatcher.Delivery, now time.Time) {
	copies, at, from := c.Len()-2, c.Int()-1, c.Int()
	if at < 0 || at >= len(of) {
		c.Len() // an answer that nobody understands: what is left over is an error
		return
	}
	first, over := &of[at], false
	first.RunFrom = int64(from)
	for range copies {
		d := entry.Delivery(first.Channel, "", 1, c.Fields())
		if over = over || d.Tried > 0 && d.Due.After(now); !over {
			d.Attempt = d.Tried + 1
			first.Run = append(first.Run, d)
		}
	}
}

// settleRunsScript settles messages that were sent with the one of their key in the channel, as long as that one is there. Those that
// were accepted leave the line. Those that failed note their attempt in the copy. What stays moves up to what was not sent,
// so numbers stay without gaps, and the next copy is the oldest one.
//
// KEYS 1–4 counts, then channel, line, wait for each run.
// ARGV consumer, then for each run: entry id, number of the attempt that ended, number of the first message, n, then n groups of messages:
// "sent", how many, m, m names of counts; "failed", number of the attempt that ended, when the next is due in ms, failure record, m, m names of counts;
// "left", how many.
// Returns 0.
//
// Safe to repeat: a message that is accepted moves the first number, by which a run is known, and nobody else moves it while the
// entry is there. A failure notes the number of its attempt, and is noted only for the owner and the attempt of the entry.
// HDEL comes first because Redis allows it, and then the rest of the script, even when out of memory.
var settleRunsScript = rdb.NewScript(countLua + lineLua + `
-- tried notes a failed attempt in a copy. It returns nil if that is noted already, or the copy cannot hold it.
local function tried(packed, attempt, text)
  local fields = line_fields(packed)
  if #fields == 2 and fields[1] == 'm' then
    local stop = string.find(packed, '\n\n', 1, true)
    if not stop then return nil end
    local head = string.sub(packed, 1, stop)
    local had = string.match(head, '\ntried (%d+)')
    if had and tonumber(had) >= attempt then return nil end
    return string.gsub(head, '\ntried [^\n]*', '') .. 'tried ' .. text .. '\n' .. string.sub(packed, stop + 1)
  end
  local out = {}
  for i = 1, #fields, 2 do
    if fields[i] == '~tried' then
      if (tonumber(string.match(fields[i + 1], '^%d+')) or 0) >= attempt then return nil end
    else out[#out + 1], out[#out + 2] = fields[i], fields[i + 1] end
  end
  out[#out + 1], out[#out + 2] = '~tried', text
  return line_pack(out, #out)
end

local at, k = 2, 5
counted(function()
  while at <= #ARGV do
    local ch, line, wait, id = KEYS[k], KEYS[k + 1], KEYS[k + 2], ARGV[at]
    local attempt, from, groups = tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2]), tonumber(ARGV[at + 3])
    redis.call('HDEL', line, '')
    local key = line_get(line, 'b' .. id)
    local n, first, last = 0, 1, 0
    if key then n, first, last = line_of(line, key) end
    local ours = key and first == from
    local pending = ours and redis.pcall('XPENDING', ch, 'push', id, id, 1, ARGV[1])[1]
    local mine = pending and math.max(1, pending[4]) == attempt
    local number, sent, stay, again = from, 0, {}, {} -- stay: numbers; again: copies that changed, by number
    local function place(of) return line_place(of, key) end
    at, k = at + 4, k + 3
    for _ = 1, groups do
      local what, names = ARGV[at], nil
      if what == 'failed' then
        if mine then
          local packed = redis.pcall('HGET', wait, place(number))
          local noted = type(packed) == 'string' and tried(packed, tonumber(ARGV[at + 1]), table.concat({ARGV[at + 1], ARGV[at + 2], ARGV[at + 3]}, ' '))
          if noted then
            again[number] = noted
            for i = at + 5, at + 4 + ARGV[at + 4] do note(ARGV[i], 1) end
          end
        end
        stay[#stay + 1] = number
        number, at = number + 1, at + 5 + ARGV[at + 4]
      else
        local many = tonumber(ARGV[at + 1])
        if what == 'sent' then
          if ours then
            local fields = {}
            for i = 1, many do fields[i] = place(number + i - 1) end
            local gone = redis.call('HDEL', wait, unpack(fields))
            sent = sent + many
            redis.pcall('HINCRBY', KEYS[4], '` + countBehind + `' .. string.match(line, '}:line:(.*)$'), -gone)
            for i = at + 3, at + 2 + ARGV[at + 2] do note(ARGV[i], gone) end
          end
          at = at + 3 + ARGV[at + 2]
        else
          for i = 0, many - 1 do stay[#stay + 1] = number + i end
          at = at + 2
        end
        number = number + many
      end
    end
    if ours then
      for i = #stay, 1, -1 do -- from behind, so that no copy is in the way of another
        local was, is = stay[i], from + sent + i - 1
        local packed = again[was]
        if was ~= is then
          packed = packed or redis.pcall('HGET', wait, place(was))
          redis.call('HDEL', wait, place(was))
        end
        if type(packed) == 'string' then redis.call('HSET', wait, place(is), packed) end
      end
      if sent > 0 then line_note(line, key, n, first + sent, last) end
    end
  end
end)
return 0
`)

// countBehind begins the name of a total: minus how many messages of a subscription were accepted out of its lines. They were counted as
// sent, and were never in the channel.
const countBehind = "~behind:"

// settleRunsMost is how many messages a step settles, beside the bytes that it may move.
const settleRunsMost = 1000

// settleRuns settles what was sent behind others. It comes before what settles those.
func (s *Store) settleRuns(ctx context.Context, p int, list []medispatcher.Settlement) error {
	now := s.db.Now()
	var k []string
	var argv []any
	messages, bytes := 0, 0
	flush := func() error {
		if messages == 0 {
			return nil
		}
		err := settleRunsScript.Run(ctx, s.db, k, argv...).Err()
		messages, bytes = 0, 0
		return rdb.Failed("settle the messages behind others", err)
	}
	for i := range list {
		first := &list[i]
		run := first.Run
		for len(run) > 0 && run[len(run)-1].Outcome == medispatcher.Released {
			run = run[:len(run)-1]
		}
		if len(run) == 0 {
			continue
		}
		size := 0
		for j := range run {
			if m := run[j].Message; m != nil && run[j].Outcome != medispatcher.Sent {
				size += len(m.Body)
			}
		}
		if messages > 0 && (messages+len(run) > settleRunsMost || bytes+size > stepBytes) {
			if err := flush(); err != nil {
				return err
			}
		}
		if messages == 0 {
			k, argv = s.countKeys(p), []any{s.cfg.ID}
		}
		messages, bytes = messages+len(run), bytes+size
		sub := first.Subscription
		k = append(k, s.keys.Channel(p, sub), s.keys.Line(p, sub), s.keys.Wait(p, sub))
		var err error
		if argv, err = appendRun(argv, first, run, now); err != nil {
			return err
		}
	}
	return flush()
}

// appendRun appends what settleRunsScript is told of a run.
func appendRun(argv []any, first *medispatcher.Settlement, run []medispatcher.Settlement, now time.Time) ([]any, error) {
	argv = append(argv, first.EntryID, first.Attempt, first.RunFrom, 0)
	groups := len(argv) - 1
	n := 0
	for ; len(run) > 0; n++ {
		s, many := &run[0], 1
		switch s.Outcome {
		case medispatcher.Failed:
			record, err := entry.EncodeFailure(s.Failure)
			if err != nil {
				return nil, err
			}
			argv = appendCounts(append(argv, "failed", s.Attempt, dueAt(s, now), record), s)
		default:
			for many < len(run) && run[many].Outcome == s.Outcome && (run[many].Attempt > 1) == (s.Attempt > 1) {
				many++
			}
			if s.Outcome == medispatcher.Sent {
				argv = appendCounts(append(argv, "sent", many), s)
			} else {
				argv = append(argv, "left", many)
			}
		}
		run = run[many:]
	}
	argv[groups] = n
	return argv, nil
}
