package streams

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/streams/internal/entry"
	"github.com/solate/medispatcher/streams/internal/rdb"
)

const (
	// keptPage and keptBytes bound what one step reads. Bodies do not leave Redis, but the script copies them.
	keptPage  = 100
	keptBytes = 1 << 20
	// keptValue is the longest value that is read, in bytes. The longest headers that decode fit in.
	keptValue = 256 << 10
)

// keptStream returns the keys of a place in a partition: the stream, and the hash with its size.
func (s *Store) keptStream(place medispatcher.KeptPlace, p int) (stream, size string) {
	if place == medispatcher.PlaceQuarantine {
		return s.keys.Quarantine(p), s.keys.QuarantineSize(p)
	}
	return s.keys.Unrouted(p), s.keys.UnroutedSize(p)
}

// entryOfLine names the incoming entry by which a line of the DATA log knows a kept message; empty: no line does. Without it, that of a
// quarantined message is its source.
const entryOfLine = "~entry"

// keptScript reads kept messages without their bodies.
//
// KEYS stream.
// ARGV most entries, most bytes (the last entry may exceed them), longest value, then either "ids" and entry ids, or
// "XRANGE" or "XREVRANGE" and the start and end of the range.
// Returns {ids or entries handled, {{entry id, bytes, number of the message's own fields, reason, source, name, length,
// value, …}, …}}. It lists only fields that a message can have. The value is "" for the body, for raw, and if too long.
// Safe to repeat: it only reads.
var keptScript = rdb.NewScript(`
local names = {topic = true, id = true, sender = true, key = true, type = true, headers = true, time = true, delay = true,
  ['~src'] = true, ['~released'] = true, ['~entry'] = true, body = false, raw = false}
local most, room, longest, how = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), ARGV[4]
local looked, out = 0, {}
local function take(e)
  local f, bytes, first = e[2], 0, 1
  local row = {e[1], 0, 0, '', ''}
  if f[1] == 'reason' and f[3] == 'source' then row[4], row[5], first = f[2], f[4], 5 end
  for i = 1, #f, 2 do
    local name, value = f[i], f[i + 1]
    bytes = bytes + #name + #value
    if i >= first and names[name] ~= nil then
      row[#row + 1] = name
      row[#row + 1] = #value
      row[#row + 1] = names[name] and #value <= longest and value or ''
    end
  end
  row[2], row[3] = bytes, (#f - first + 1) / 2
  room = room - bytes
  out[#out + 1] = row
end
local from = ARGV[5]
while looked < most and room > 0 do -- one by one: bodies may be large
  local found
  if how == 'ids' then
    from = ARGV[5 + looked]
    found = redis.call('XRANGE', KEYS[1], from, from)[1]
  else
    found = redis.call(how, KEYS[1], from, ARGV[6], 'COUNT', 1)[1]
    if not found then break end
    from = '(' .. found[1]
  end
  if found then take(found) end
  looked = looked + 1
end
return {looked, out}
`)

// keptRow is a kept message without its body.
type keptRow struct {
	p      int
	entry  string
	bytes  int64
	pairs  int64             // number of the message's own fields
	fields map[string]string // those that a message can have; body, raw and values that are too long are empty
	sizes  map[string]int64  // bytes of the values, by field
	reason string
	source string
}

func (r *keptRow) id() string { return rdb.GeneratedID(r.p, r.entry) }

// token identifies what it would publish; "" if the entry that it came from is not known.
func (s *Store) token(place medispatcher.KeptPlace, r *keptRow) string {
	from := r.source
	if named, says := r.fields[entryOfLine]; says || place == medispatcher.PlaceUnrouted {
		from = named
	}
	if !isEntryID(from) {
		return ""
	}
	sub, _ := s.copyFailedOf(r)
	return medispatcher.KeptToken(from, sub)
}

// KeptTokens maps the tokens of what a partition keeps in a place to the entries there.
func (s *Store) KeptTokens(ctx context.Context, place medispatcher.KeptPlace, p int) (map[string]string, error) {
	tokens := map[string]string{}
	for from := "-"; ; {
		rows, err := s.keptRange(ctx, place, p, oldest, from, "+", keptPage)
		if err != nil || len(rows) == 0 {
			return tokens, err
		}
		for i := range rows {
			if token := s.token(place, &rows[i]); token != "" {
				tokens[token] = rows[i].entry
			}
		}
		from = "(" + rows[len(rows)-1].entry
	}
}

// keptRange reads the next rows of a partition. It returns none at the end.
func (s *Store) keptRange(ctx context.Context, place medispatcher.KeptPlace, p int, how, from, to string, limit int) ([]keptRow, error) {
	_, rows, err := s.keptRows(ctx, place, p, min(limit, keptPage), how, from, to)
	return rows, err
}

// keptNamed reads those of the named rows that exist, as many as fit into one step. looked is how many of entries it handled.
func (s *Store) keptNamed(ctx context.Context, place medispatcher.KeptPlace, p int, entries []string) (looked int, rows []keptRow, err error) {
	args := []any{"ids"}
	for _, entry := range entries {
		args = append(args, entry)
	}
	return s.keptRows(ctx, place, p, len(entries), args...)
}

func (s *Store) keptRows(ctx context.Context, place medispatcher.KeptPlace, p, most int, args ...any) (looked int, rows []keptRow, err error) {
	stream, _ := s.keptStream(place, p)
	res, err := keptScript.Run(ctx, s.db, []string{stream}, append([]any{most, keptBytes, keptValue}, args...)...).Slice()
	if err != nil {
		return 0, nil, rdb.Failed("list "+string(place), err)
	}
	var answers []any
	if len(res) == 2 {
		answers, _ = res[1].([]any)
		looked = rdb.ToInt(res[0])
	}
	rows = make([]keptRow, len(answers))
	for i, answer := range answers {
		list, _ := answer.([]any)
		if len(list) < 5 {
			return 0, nil, rdb.Unreadable("list "+string(place), answer)
		}
		text := func(i int) string { v, _ := list[i].(string); return v }
		r := keptRow{
			p: p, entry: text(0), bytes: int64(rdb.ToInt(list[1])), pairs: int64(rdb.ToInt(list[2])), reason: text(3), source: text(4),
			fields: map[string]string{}, sizes: map[string]int64{},
		}
		for at := 5; at+2 < len(list); at += 3 {
			r.fields[text(at)], r.sizes[text(at)] = text(at+2), int64(rdb.ToInt(list[at+1]))
		}
		rows[i] = r
	}
	return looked, rows, nil
}

// kept is what a list shows of a row.
func (r *keptRow) kept() medispatcher.Kept {
	k := medispatcher.Kept{ID: r.id(), At: Entry{ID: r.entry}.Time(), Reason: r.reason, Source: r.source, Bytes: r.bytes}
	k.Message = keptMessage(r.p, r.source, r.fields)
	return k
}

// keptMessage decodes as much as it can of a message that may be undecodable.
func keptMessage(p int, source string, fields map[string]string) medispatcher.Message {
	var f entry.Fields
	for name, value := range fields {
		f.Set(name, value)
	}
	f.Unpack()
	if f.Src == "" && isEntryID(source) {
		f.Src = source
	}
	m := f.Message(p)
	if m.Generated && f.Src == "" {
		m.ID, m.Generated = "", false
	}
	if m.Time.IsZero() && isEntryID(source) {
		m.Time = rdb.EntryTime(source)
	}
	m.Delay, _ = medispatcher.ParseDelay(f.Delay)
	return m
}

// isEntryID reports whether source is the id of an incoming entry; otherwise it is the name of a recover list.
func isEntryID(source string) bool {
	ms, seq, ok := strings.Cut(source, "-")
	_, errMS := strconv.ParseUint(ms, 10, 63)
	_, errSeq := strconv.ParseUint(seq, 10, 64)
	return ok && errMS == nil && errSeq == nil
}

// ReadKept returns one whole kept message. The error is ErrNotFound if it does not exist.
func (s *Store) ReadKept(ctx context.Context, place medispatcher.KeptPlace, id string) (medispatcher.Kept, error) {
	p, entry, err := s.splitKeptID(place, id)
	if err != nil {
		return medispatcher.Kept{}, err
	}
	fields, err := s.keptFields(ctx, place, p, entry)
	if err != nil {
		return medispatcher.Kept{}, err
	}
	k := medispatcher.Kept{ID: id, At: Entry{ID: entry}.Time()}
	if len(fields) >= 4 && fields[0] == "reason" && fields[2] == "source" {
		k.Reason, k.Source, fields = fields[1], fields[3], fields[4:]
		k.Bytes = int64(len("reason") + len(k.Reason) + len("source") + len(k.Source))
	}
	all := fieldMap(fields)
	for _, f := range fields {
		k.Bytes += int64(len(f))
	}
	if place == medispatcher.PlaceQuarantine {
		k.Fields = all
	}
	k.Message = keptMessage(p, k.Source, all)
	return k, nil
}

// keptFields returns the fields and values of an entry in their order. A quarantined entry may repeat a field.
func (s *Store) keptFields(ctx context.Context, place medispatcher.KeptPlace, p int, entry string) ([]string, error) {
	stream, _ := s.keptStream(place, p)
	list, err := rdb.Entries(s.db.With(ctx), "XRANGE", stream, entry, entry).Result()
	if err != nil {
		return nil, rdb.Failed("read "+string(place), err)
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("%s message %s: %w", place, rdb.GeneratedID(p, entry), medispatcher.ErrNotFound)
	}
	var fields []string
	for name, value := range list[0].Fields.All() {
		fields = append(fields, name, value)
	}
	return fields, nil
}

// fieldMap returns values by field. If a field is repeated, its last value counts.
func fieldMap(fields []string) map[string]string {
	all := make(map[string]string, len(fields)/2)
	for i := 0; i+1 < len(fields); i += 2 {
		all[fields[i]] = fields[i+1]
	}
	return all
}

// splitKeptID reads "<partition>-<entry id>".
func (s *Store) splitKeptID(place medispatcher.KeptPlace, id string) (p int, entry string, err error) {
	p, entry, err = rdb.SplitID(s.db.Partitions(), id)
	if err != nil {
		err = medispatcher.FieldError{Field: "id", Problem: fmt.Sprintf("%q is not the id of a message in %s, such as 0-1700000000000-0", id, place)}
	}
	return p, entry, err
}

// KeptSince counts the messages of a place. since is when the oldest of them got there, zero if there are none.
func (s *Store) KeptSince(ctx context.Context, place medispatcher.KeptPlace) (n int64, since time.Time, err error) {
	for p := range s.db.Partitions() {
		stream, _ := s.keptStream(place, p)
		length, err := rdb.Int(s.db.With(ctx), "XLEN", stream).Result()
		if err != nil {
			return 0, since, rdb.Failed("count "+string(place), err)
		}
		if length == 0 {
			continue
		}
		n += length
		rows, err := s.keptRange(ctx, place, p, oldest, "-", "+", 1)
		if err != nil {
			return 0, since, err
		}
		if len(rows) > 0 {
			if at := (Entry{ID: rows[0].entry}).Time(); since.IsZero() || at.Before(since) {
				since = at
			}
		}
	}
	return n, since, nil
}
