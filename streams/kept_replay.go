package streams

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/streams/internal/rdb"
)

// KeptRules say which kept messages can be replayed.
type KeptRules struct {
	MaxBody int64 // bytes; 0: any
	// DecodeItem reads an item of a recover list.
	DecodeItem func(item []byte, maxBody int64) (medispatcher.Message, error)
	Wanted     func(topic string) bool // whether any subscription wants a topic
	Exists     func(sub string) bool   // whether there is such a subscription
}

// keptMoveLua begins the scripts that remove kept messages from their place.
//
// KEYS 1–4 counts, 5 stream, 6 its size.
const keptMoveLua = countLua + keepLua

// keptReplayScript moves kept messages to a stream where they are tried again.
//
// KEYS as keptMoveLua, 7 active, then targets. Behind a channel come its line and what waits there.
// ARGV name of the count, lifetime of a marker in ms, then for each message: entry id, number of its target in KEYS,
// number of its marker ("0": none), its member there, "1" to keep its own fields, n, n names of fields to leave out, m, m
// fields and values to add.
// Returns for each "moved", "gone", "wrongtype" or "error <what Redis said>".
//
// Safe to repeat: a message that was moved is gone, and skipped. The marker says so to recover, which may have it in a file. XADD comes first: if it fails, because Redis is out of
// memory or a key is of a wrong type, the message stays where it is.
var keptReplayScript = rdb.NewScript(keptMoveLua + lineLua + `
local moved, out, at = 0, {}, 3
local function replay(id, place, marker, member, own, left_out, added)
  local target = KEYS[place]
  local found = redis.call('XRANGE', KEYS[5], id, id)[1]
  if not found then return 'gone' end
  local from, fields, first = found[2], {}, 1
  if from[1] == 'reason' and from[3] == 'source' then first = 5 end
  for i = 1, #added do fields[i] = added[i] end
  if own then
    for i = first, #from, 2 do
      if not left_out[from[i]] then fields[#fields + 1], fields[#fields + 2] = from[i], from[i + 1] end
    end
  end
  local sub, ok, reply = string.match(target, '}:ch:(.*)$'), true, nil
  if sub then ok, reply = pcall(line_join, target, KEYS[place + 1], KEYS[place + 2], fields)
  else reply = redis.pcall('XADD', target, '*', unpack(fields)) end
  if not ok or type(reply) == 'table' then
    local why = type(reply) == 'table' and reply.err or tostring(reply)
    if string.find(why, 'WRONGTYPE', 1, true) then return 'wrongtype' end
    return 'error ' .. why
  end
  if sub then redis.pcall('SADD', KEYS[7], sub) end
  if marker > 0 then
    redis.pcall('SADD', KEYS[marker], member)
    redis.pcall('PEXPIRE', KEYS[marker], ARGV[2])
  end
  forget(KEYS[5], KEYS[6], found)
  moved = moved + 1
  return 'moved'
end
while at <= #ARGV do
  local id, target, marker, member = ARGV[at], tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2]), ARGV[at + 3]
  local own, n, left_out, added = ARGV[at + 4] == '1', tonumber(ARGV[at + 5]), {}, {}
  at = at + 5
  for i = 1, n do left_out[ARGV[at + i]] = true end
  at = at + 1 + n
  for i = 1, tonumber(ARGV[at]) do added[i] = ARGV[at + i] end
  at = at + 1 + #added
  out[#out + 1] = replay(id, target, marker, member, own, left_out, added)
end
if moved > 0 then count(ARGV[1], moved) end
return out
`)

// ReplayKept tries kept messages again. UNROUTED, QUARANTINE → INCOMING, or → READY if it is a copy that its channel
// refused. They keep their id and time. A message that still cannot be decoded would come back at once; it is
// refused, and stays. If an id is malformed, nothing is done, and the error is medispatcher.Problems of "ids[…]".
func (s *Store) ReplayKept(ctx context.Context, place medispatcher.KeptPlace, ids []string, rules KeptRules) (done medispatcher.KeptDone, err error) {
	ids = distinct(ids)
	found := 0
	err = s.eachNamed(ctx, place, ids, func(rows []keptRow) error {
		found += len(rows)
		return s.replayRows(ctx, place, rows, rules, &done)
	})
	if err == nil {
		done.Missing += int64(len(ids) - found)
	}
	return done, err
}

// distinct returns a list without repetitions, in the same order.
func distinct(list []string) []string {
	seen := make(map[string]bool, len(list))
	return slices.DeleteFunc(slices.Clone(list), func(s string) bool {
		was := seen[s]
		seen[s] = true
		return was
	})
}

// ReplayAllKept is ReplayKept of every message that exists when it begins. Those that come back meanwhile are left alone.
// After each batch more says whether to go on.
func (s *Store) ReplayAllKept(ctx context.Context, place medispatcher.KeptPlace, rules KeptRules, more func(done, all int64) bool) (done medispatcher.KeptDone, err error) {
	lasts, all, err := s.ends(ctx, "messages in "+string(place), s.keptKey(place))
	if err != nil {
		return done, err
	}
	looked := int64(0)
	for p, last := range lasts {
		for from := "-"; last != ""; {
			rows, err := s.keptRange(ctx, place, p, oldest, from, last, keptPage)
			if err == nil {
				err = s.replayRows(ctx, place, rows, rules, &done)
			}
			if err != nil {
				done.Left = max(0, all-looked)
				return done, err
			}
			if len(rows) == 0 {
				break
			}
			from = "(" + rows[len(rows)-1].entry
			looked += int64(len(rows))
			if !more(looked, all) && looked < all {
				done.Left = all - looked
				return done, nil
			}
		}
	}
	return done, nil
}

func (s *Store) keptKey(place medispatcher.KeptPlace) func(p int) string {
	return func(p int) string { stream, _ := s.keptStream(place, p); return stream }
}

// replayRows replays messages of one partition, in steps that hold Redis only for a moment.
func (s *Store) replayRows(ctx context.Context, place medispatcher.KeptPlace, rows []keptRow, rules KeptRules, done *medispatcher.KeptDone) error {
	var batch []keptMove
	var bytes int64
	flush := func() error {
		err := s.moveKept(ctx, place, batch, done)
		batch, bytes = nil, 0
		return err
	}
	for i := range rows {
		r := &rows[i]
		move, refusal, err := s.planKept(ctx, place, r, rules)
		switch {
		case errors.Is(err, medispatcher.ErrNotFound):
			done.Missing++
			continue
		case err != nil:
			return err
		case refusal != "":
			done.Refuse(r.id(), refusal)
			continue
		case move.item != nil:
			if err := s.replayItem(ctx, &move, done); err != nil {
				return err
			}
			continue
		}
		if len(batch) > 0 && bytes+r.bytes > keptBytes/2 {
			if err := flush(); err != nil {
				return err
			}
		}
		batch, bytes = append(batch, move), bytes+r.bytes
	}
	return flush()
}

// keptMove says where one kept message goes, and with which fields.
type keptMove struct {
	row      *keptRow
	channel  string // the subscription whose channel gets this copy; "": it goes to incoming
	own      bool   // keep its own fields, but for leaveOut
	leaveOut []any
	add      []any
	unwanted bool                  // no subscription wants its topic
	item     *medispatcher.Message // set for an item of a recover list: it is published as a new message
}

// moveKept moves messages of one partition in one step.
func (s *Store) moveKept(ctx context.Context, place medispatcher.KeptPlace, batch []keptMove, done *medispatcher.KeptDone) error {
	if len(batch) == 0 {
		return nil
	}
	p := batch[0].row.p
	stream, size := s.keptStream(place, p)
	k := keyList{keys: append(s.countKeys(p), stream, size, s.keys.Active(p)), index: map[string]int{}}
	argv := []any{string(place) + "_replayed", medispatcher.Remembered.Milliseconds()}
	for _, m := range batch {
		target := k.place(s.keys.Incoming(p))
		if m.channel != "" {
			target = s.placeLined(&k, p, m.channel)
		}
		mark, member := 0, ""
		if token := s.token(place, m.row); token != "" {
			var name string
			name, member = marker(token)
			mark = k.place(s.keys.Recovered(p, name))
		}
		argv = append(argv, m.row.entry, target, mark, member, m.own, len(m.leaveOut))
		argv = append(append(argv, m.leaveOut...), len(m.add))
		argv = append(argv, m.add...)
	}
	res, err := keptReplayScript.Run(ctx, s.db, k.keys, argv...).StringSlice()
	if err == nil && len(res) != len(batch) {
		err = fmt.Errorf("%d answers for %d messages", len(res), len(batch))
	}
	if err != nil {
		return rdb.Failed("replay "+string(place), err)
	}
	for i, r := range res {
		m := &batch[i]
		switch r {
		case "moved":
			done.Replayed++
			if m.unwanted {
				done.Unwanted++
			}
			if m.channel != "" {
				_ = s.ring(ctx, hintReady, everybody, p, []string{m.channel}) // a hint
			}
		case "gone":
			done.Missing++
		case "wrongtype":
			done.Refuse(m.row.id(), fmt.Sprintf("%s is not a stream, or its line or wait is not a hash; delete or rename that key, then replay it again", s.keys.Channel(p, m.channel)))
		default:
			return rdb.Failed("replay "+string(place), errors.New(strings.TrimPrefix(r, "error ")))
		}
	}
	return nil
}

// replayItem publishes an item of a recover list, then removes it here. If the process dies in between, a repetition
// does not publish it twice, because its token is made of its id.
func (s *Store) replayItem(ctx context.Context, m *keptMove, done *medispatcher.KeptDone) error {
	r, p := m.row, m.row.p
	if m.item.Key != "" || m.item.ID != "" {
		p = medispatcher.Partition(m.item.Key, m.item.ID, s.cfg.Spread)
	}
	once := []medispatcher.Once{{Token: "quarantine-" + r.id(), Message: *m.item}}
	res, err := s.WriteOnce(ctx, p, once, itemRemembered, false)
	if err == nil {
		err = res[0].Err
	}
	if err != nil {
		return err
	}
	n, _, err := s.dropKept(ctx, medispatcher.PlaceQuarantine, r.p, "quarantine_replayed", []string{r.entry})
	if done.Replayed += n; m.unwanted {
		done.Unwanted += n
	}
	return err
}

// itemRemembered is how long Redis remembers that an item of a recover list was replayed.
const itemRemembered = 7 * 24 * time.Hour
