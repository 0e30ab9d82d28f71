package streams

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/streams/internal/entry"
	"github.com/solate/medispatcher/streams/internal/rdb"
)

// onceScript writes items to streams of a partition, unless they were written before. A marker is a
// set of the items that were.
//
// KEYS 1–4 counts, 5 quarantine, 6 its size, 7 active, then markers and streams. ARGV names these by their number.
// Behind a channel come its line and what waits there.
// ARGV lifetime of a marker in ms, "1" to change nothing, most entries and bytes of the quarantine, then for each
// item: number of its marker, its member there, number of its stream, entry id that must not be in the stream
// ("": none), name of its count, number of the stream that keeps a copy (its size is behind it), entry id of that copy
// ("": none), n, n fields and values. The copy is removed.
// Returns for each item "written", "already" (its member is in its marker), "there" (the entry
// is in the stream), or "error <what Redis said>"; nothing was written then.
//
// Safe to repeat and to run by several at once: the marker is set in the step that writes.
// XADD comes first: it fails when Redis is out of memory, and no marker is set.
var onceScript = rdb.NewScript(countLua + keepLua + lineLua + `
local lifetime, dry = ARGV[1], ARGV[2] == '1'
local function once(marker, member, place, unless, what, kept, copy, first, last)
  local stream = KEYS[place]
  if redis.call('SISMEMBER', marker, member) == 1 then return 'already' end
  if unless ~= '' and #redis.call('XRANGE', stream, unless, unless) > 0 then return 'there' end
  if dry then
    redis.call('XLEN', stream) -- fails like XADD if the key is not a stream
  else
    local lost = 0
    copy = copy ~= '' and redis.call('XRANGE', KEYS[kept], copy, copy)[1]
    if stream == KEYS[5] then
      lost = keep(stream, KEYS[6], tonumber(ARGV[3]), tonumber(ARGV[4]), {unpack(ARGV, first, last)}, last - first + 1)
    else
      local sub = string.match(stream, '}:ch:(.*)$')
      if sub then line_join(stream, KEYS[place + 1], KEYS[place + 2], {unpack(ARGV, first, last)})
      else
        local fields = {unpack(ARGV, first, last)}
        for i = 1, copy and #copy[2] or 0, 2 do
          if copy[2][i] == '~archived' then fields[#fields + 1], fields[#fields + 2] = '~archived', '1' end
        end
        redis.call('XADD', stream, '*', unpack(fields))
      end
      if sub then redis.pcall('SADD', KEYS[7], sub) end
    end
    redis.call('SADD', marker, member)
    redis.call('PEXPIRE', marker, lifetime)
    if copy then forget(KEYS[kept], KEYS[kept + 1], copy) end
    if lost > 0 then count('quarantine_lost', lost) end
    count(what, 1)
  end
  return 'written'
end
local out, at = {}, 5
while at <= #ARGV do
  local first = at + 8
  local last = first + tonumber(ARGV[at + 7]) - 1
  local ok, result = pcall(once, KEYS[tonumber(ARGV[at])], ARGV[at + 1], tonumber(ARGV[at + 2]), ARGV[at + 3], ARGV[at + 4],
    tonumber(ARGV[at + 5]), ARGV[at + 6], first, last)
  if not ok then result = 'error ' .. (type(result) == 'table' and result.err or tostring(result)) end
  out[#out + 1] = result
  at = last + 1
end
return out
`)

// WriteOnce writes messages to partition p, unless one was written before under the same token.
// → INCOMING, → READY in one channel, or → QUARANTINE. It remembers the tokens for keep. With
// dryRun it only says what it would do. The results are in the order of list. If WriteOnce
// itself fails, the messages may have been written or not, and the call can be repeated.
func (s *Store) WriteOnce(ctx context.Context, p int, list []medispatcher.Once, keep time.Duration, dryRun bool) ([]medispatcher.OnceDone, error) {
	if len(list) == 0 {
		return nil, nil
	}
	k := keyList{keys: append(s.countKeys(p), s.keys.Quarantine(p), s.keys.QuarantineSize(p), s.keys.Active(p)), index: map[string]int{s.keys.Quarantine(p): 5, s.keys.QuarantineSize(p): 6}}
	argv := []any{keep.Milliseconds(), dryRun, s.cfg.Quarantine.Entries, s.cfg.Quarantine.Bytes}
	for _, o := range list {
		name, member := marker(o.Token)
		stream, what, fields := s.onceFields(p, o)
		var at int
		if stream == s.keys.Channel(p, o.Subscription) {
			at = s.placeLined(&k, p, o.Subscription)
		} else {
			at = k.place(stream)
		}
		kept := 5
		if o.Kept != "" {
			keptIn, size := s.keptStream(o.KeptIn, p)
			kept = k.place(keptIn)
			k.place(size)
		}
		argv = append(argv, k.place(s.keys.Recovered(p, name)), member, at, o.Unless, what, kept, o.Kept, len(fields))
		argv = append(argv, fields...)
	}
	res, err := onceScript.Run(ctx, s.db, k.keys, argv...).StringSlice()
	if err != nil {
		return nil, rdb.Failed("write recovered messages", err)
	}
	if len(res) != len(list) {
		return nil, rdb.Failed("write recovered messages", fmt.Errorf("%d answers for %d messages", len(res), len(list)))
	}
	done := make([]medispatcher.OnceDone, len(list))
	for i, r := range res {
		if text, bad := strings.CutPrefix(r, "error "); bad {
			done[i].Err = rdb.Failed("write recovered messages", errors.New(text))
			continue
		}
		done[i].Result = medispatcher.OnceResult(r)
	}
	return done, nil
}

// onceFields returns the stream that an item goes to, the name of its count, and its fields.
func (s *Store) onceFields(p int, o medispatcher.Once) (stream, what string, fields []any) {
	switch {
	case o.Reason != "" && o.Subscription != "": // as fanout_rest.lua writes it, so that copyFailedOf can read it
		reason := "REDISTFAIL " + s.keys.Channel(p, o.Subscription) + " " + o.Reason
		return s.keys.Quarantine(p), "quarantined", append([]any{"reason", reason, "source", o.Source, entryOfLine, ""}, entry.ChannelValues(p, o.Message)...)
	case o.Reason != "":
		return s.keys.Quarantine(p), "quarantined", []any{"reason", o.Reason, "source", o.Source, "raw", o.Raw}
	case o.Subscription != "":
		return s.keys.Channel(p, o.Subscription), "recovered:" + o.Subscription, entry.ChannelValues(p, o.Message)
	}
	return s.keys.Incoming(p), "recovered", entry.ChannelValues(p, o.Message)
}

// marker returns the name of the marker of a token, and the member there.
func marker(token string) (name, member string) {
	name, member, ok := strings.Cut(token, ".")
	if !ok {
		member = "0"
	}
	return name, member
}

// keyList collects the KEYS of a script.
type keyList struct {
	keys  []string
	index map[string]int
}

// placeLined returns the number of a channel, behind which its line and what waits there are.
func (s *Store) placeLined(k *keyList, p int, sub string) int {
	at := k.place(s.keys.Channel(p, sub))
	if at == len(k.keys) {
		k.keys = append(k.keys, s.keys.Line(p, sub), s.keys.Wait(p, sub))
	}
	return at
}

// place returns the number of a key, and appends the key if it is new.
func (k *keyList) place(key string) int {
	i, ok := k.index[key]
	if !ok {
		k.keys = append(k.keys, key)
		i = len(k.keys)
		k.index[key] = i
	}
	return i
}
