package streams

import (
	"context"
	"errors"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/solate/medispatcher"
)

const (
	// A search of one stream looks at so many entries from where the message should be,
	// so many in one step, so that it holds Redis for less than a millisecond.
	searchEntries = 2000
	searchStep    = 200
	// searchStreams bounds the channels and dead letters that are searched at once.
	searchStreams = 100
)

// findScript looks for the copy of a message in a channel or in its dead letters.
//
// KEYS stream, retry, failures. ARGV start of the range, limit, producer's id ("": none), first entry id
// ("": unknown). Reads only.
// Returns {where to go on ("": done), entry id, topic, owner, attempt, due time, failure record}, the
// latter ones only when it was found.
var findScript = redis.NewScript(`
local found = redis.call('XRANGE', KEYS[1], ARGV[1], '+', 'COUNT', ARGV[2])
for _, e in ipairs(found) do
  local f = {}
  for i = 1, #e[2], 2 do f[e[2][i]] = e[2][i + 1] end
  if ARGV[3] ~= '' and f.id == ARGV[3] or ARGV[4] ~= '' and f['~src'] == ARGV[4] then
    local pending = redis.pcall('XPENDING', KEYS[1], 'push', e[1], e[1], 1)
    local p = type(pending) == 'table' and pending[1] or {'', '', 0, 0}
    return {'', e[1], f.topic or '', p[2], p[4], redis.pcall('ZSCORE', KEYS[2], e[1]) or '',
      f.failure or redis.pcall('HGET', KEYS[3], e[1]) or ''}
  end
end
if #found < tonumber(ARGV[2]) then return {''} end
local ms, seq = string.match(found[#found][1], '(%d+)-(%d+)')
return {ms .. '-' .. string.format('%.0f', seq + 1)}
`)

// trail is what is known of a message that is searched.
type trail struct {
	id    string // the producer's, empty for a generated one
	entry string // of the incoming stream, empty when unknown
	p     int
}

// from is the first id that its copies can have.
func (t trail) from() string {
	if t.entry == "" {
		return "-"
	}
	ms, _, _ := strings.Cut(t.entry, "-")
	return ms
}

// Story finds where a message is, among the incoming entries, the delayed ones, and the
// channels and dead letters of subscriptions, and what was kept of its history. id is the
// one its producer gave, "<partition>-<entry id>", or what the webhook-id header carried.
func (s *Store) Story(ctx context.Context, id string, subs []string) (medispatcher.Story, error) {
	story := medispatcher.Story{ID: id, Places: []medispatcher.Place{}, Events: []medispatcher.Event{}, Searched: true}
	trails, err := s.trails(ctx, id)
	if err != nil {
		return story, err
	}
	for _, t := range trails {
		if err := s.findBeforeFanout(ctx, t, &story); err != nil {
			return story, err
		}
		for chunk := range slices.Chunk(subs, searchStreams) {
			if err := s.findCopies(ctx, t, chunk, &story); err != nil {
				return story, err
			}
		}
		if err := s.readJournal(ctx, t, &story); err != nil {
			return story, err
		}
	}
	return story, nil
}

// trails are where a message may have begun. A producer's id tells the partition only
// when it had no key; while it is remembered, it tells the entry.
func (s *Store) trails(ctx context.Context, id string) ([]trail, error) {
	if p, entry, err := s.splitDeadID(id); err == nil {
		return []trail{{entry: entry, p: p}}, nil
	}
	ids := []string{id}
	if plain, err := url.PathUnescape(id); err == nil && plain != id {
		ids = append(ids, plain) // as webhook-id carries it
	}
	pipe := s.client.Pipeline()
	var trails []trail
	var seen []*redis.StringCmd
	for _, id := range ids {
		for p := range s.cfg.Partitions {
			trails = append(trails, trail{id: id, p: p})
			seen = append(seen, pipe.Get(ctx, s.keys.seen(p, id)))
		}
	}
	if _, err := pipe.Exec(ctx); err != nil && !errors.Is(err, redis.Nil) {
		return nil, failed("look for a message", err)
	}
	var remembered []trail
	for i, cmd := range seen {
		if trails[i].entry = cmd.Val(); trails[i].entry != "" {
			remembered = append(remembered, trails[i])
		}
	}
	if remembered != nil {
		return remembered, nil
	}
	return trails, nil
}

func (s *Store) findBeforeFanout(ctx context.Context, t trail, story *medispatcher.Story) error {
	if t.entry == "" {
		return nil
	}
	pipe := s.client.Pipeline()
	entry := pipe.XRangeN(ctx, s.keys.incoming(t.p), t.entry, t.entry, 1)
	due := pipe.ZScore(ctx, s.keys.delayed(t.p), t.entry)
	if _, err := pipe.Exec(ctx); err != nil && !errors.Is(err, redis.Nil) && !isWrongType(err) {
		return failed("look for a message", err)
	}
	for _, e := range entry.Val() {
		story.Topic, _ = e.Values["topic"].(string)
		story.Places = append(story.Places, medispatcher.Place{State: medispatcher.Incoming, Partition: t.p, Entry: e.ID})
	}
	if due.Err() == nil {
		at := time.UnixMilli(int64(due.Val())).UTC()
		story.Places = append(story.Places, medispatcher.Place{State: medispatcher.Delayed, Partition: t.p, Entry: t.entry, Due: &at})
	}
	return nil
}

// search is one stream under search.
type search struct {
	place  medispatcher.Place
	keys   []string
	from   string
	looked int
}

func (s *Store) findCopies(ctx context.Context, t trail, subs []string, story *medispatcher.Story) error {
	var searches []*search
	var lengths []*redis.IntCmd
	pipe := s.client.Pipeline()
	for _, sub := range subs {
		k := s.keys.channels(t.p, []string{sub})
		for state, stream := range map[medispatcher.State]string{medispatcher.Ready: k[0], medispatcher.Dead: s.keys.dead(t.p, sub)} {
			searches = append(searches, &search{
				place: medispatcher.Place{State: state, Subscription: sub, Partition: t.p},
				keys:  []string{stream, k[1], k[2]}, from: t.from(),
			})
			lengths = append(lengths, pipe.XLen(ctx, stream))
		}
	}
	if _, err := pipe.Exec(ctx); err != nil && !isWrongType(err) {
		return failed("look for a message", err)
	}
	filled := searches[:0]
	for i, f := range searches {
		if lengths[i].Val() > 0 {
			filled = append(filled, f)
		}
	}
	searches = filled
	for len(searches) > 0 {
		pipe := s.client.Pipeline()
		cmds := make([]*redis.Cmd, len(searches))
		for i, f := range searches {
			cmds[i] = findScript.Eval(ctx, pipe, f.keys, f.from, searchStep, t.id, t.entry)
		}
		_, _ = pipe.Exec(ctx) // each command has its own error
		var rest []*search
		for i, f := range searches {
			answer, err := cmds[i].Slice()
			if err != nil {
				return failed("look for a message", err)
			}
			if len(answer) >= 7 {
				found(answer, f, story)
				continue
			}
			f.from, _ = answer[0].(string)
			f.looked += searchStep
			switch {
			case f.from == "":
			case f.looked >= searchEntries:
				story.Searched = false
			default:
				rest = append(rest, f)
			}
		}
		searches = rest
	}
	return nil
}

// found takes what findScript says of a copy.
func found(answer []any, f *search, story *medispatcher.Story) {
	text := func(i int) string { v, _ := answer[i].(string); return v }
	p := f.place
	p.Entry = text(1)
	story.Topic = text(2)
	if owner := text(3); owner != "" {
		p.State, p.Attempt = medispatcher.Buried, toInt(answer[4])
		if owner != buriedConsumer {
			p.Dispatcher = owner
		}
	}
	if due, err := strconv.ParseFloat(text(5), 64); err == nil {
		at := time.UnixMilli(int64(due)).UTC()
		p.Due = &at
	}
	if record := text(6); record != "" {
		p.Failure = decodeFailure(record)
	}
	story.Places = append(story.Places, p)
}
