package streams

import (
	"cmp"
	"context"
	"crypto/rand"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/streams/internal/rdb"
)

const (
	// One scan makes up to scanCalls SCAN calls of scanCount keys each: 20,000 keys. Each call
	// holds Redis for less than a millisecond, all of them for about 20 ms. If Redis has
	// more keys, the next scan goes on.
	scanCount = 1000
	scanCalls = 20
	// An empty list is remembered for rememberList, so that it is found at once when it is used again.
	// If more than rememberLists are known, empty ones are forgotten at once.
	rememberList  = 10 * time.Minute
	rememberLists = 1000
	maxLists      = 10_000 // the most lists that are known; further ones wait until some are empty
)

// RecoverLists finds the lists where producers parked messages, and takes items from
// them. It is for one caller at a time.
type RecoverLists struct {
	store *Store

	mu sync.Mutex // masters of a cluster are scanned at the same time
	// known holds each list that was found, with the time when it last held something.
	known   map[string]time.Time
	cursors map[string]string // where the scan of each master goes on, by address
}

// NewRecoverLists looks for lists in the Redis of a store, which need not be the main one.
func NewRecoverLists(s *Store) *RecoverLists {
	return &RecoverLists{store: s, known: map[string]time.Time{}, cursors: map[string]string{}}
}

// Find returns the lists that hold items or have items in hand, sorted by name.
func (r *RecoverLists) Find(ctx context.Context) ([]medispatcher.RecoverList, error) {
	if err := r.scan(ctx); err != nil {
		return nil, rdb.Failed("find recover lists", err)
	}
	names := slices.Sorted(maps.Keys(r.known))
	var found []medispatcher.RecoverList
	for chunk := range slices.Chunk(names, rdb.SweepChunk) {
		lists, err := r.look(ctx, chunk)
		if err != nil {
			return nil, rdb.Failed("check recover lists", err)
		}
		found = append(found, lists...)
	}
	return found, nil
}

// look returns those lists that are not empty. It forgets lists that have been empty for long.
func (r *RecoverLists) look(ctx context.Context, names []string) ([]medispatcher.RecoverList, error) {
	pipe := r.store.db.Pipe(ctx)
	types := make([]*rdb.Reply[string], len(names))
	hands := make([]*rdb.Reply[int64], len(names))
	for i, name := range names {
		types[i] = rdb.Text(pipe, "TYPE", name)
		hands[i] = rdb.Int(pipe, "EXISTS", r.store.keys.Hand(name))
	}
	if err := pipe.Run(); err != nil {
		return nil, err
	}
	now := time.Now()
	var found []medispatcher.RecoverList
	for i, name := range names {
		l := medispatcher.RecoverList{Name: name, Type: types[i].Val(), InHand: hands[i].Val() > 0}
		switch {
		case l.Type != "none" || l.InHand:
			r.known[name] = now
			found = append(found, l)
		case now.Sub(r.known[name]) > rememberList || len(r.known) > rememberLists:
			delete(r.known, name)
		}
	}
	return found, nil
}

// scan goes on with the scan for lists, on every master of a cluster.
func (r *RecoverLists) scan(ctx context.Context) error {
	return r.store.db.EachMaster(ctx, r.scanOne)
}

func (r *RecoverLists) scanOne(ctx context.Context, master *rdb.Node) error {
	r.mu.Lock()
	cursor := cmp.Or(r.cursors[master.Addr], "0")
	r.mu.Unlock()
	var found []string
	var err error
	for range scanCalls {
		var page rdb.Page
		if page, err = rdb.Scan(master.With(ctx), "SCAN", cursor, "MATCH", r.store.keys.RecoverPattern(), "COUNT", scanCount).Result(); err != nil {
			cursor = "" // the address may now be another server's
			break
		}
		found, cursor = append(found, page.Items...), page.Next
		if cursor == "0" {
			break
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.cursors[master.Addr] = cursor
	for _, key := range found {
		r.note(key)
	}
	return err
}

// note remembers a key that the scan found, if it is one of ours.
func (r *RecoverLists) note(key string) {
	switch k := r.store.keys; {
	case strings.HasPrefix(key, k.RecoverList()):
	case strings.HasPrefix(key, k.InHand()):
		if key = k.ListOf(key); !strings.HasPrefix(key, k.RecoverList()) {
			return
		}
	default:
		return
	}
	if _, ok := r.known[key]; !ok && len(r.known) < maxLists {
		r.known[key] = time.Now()
	}
}

// takeScript moves items from a list into the hash of items in hand, unless that holds some.
//
// KEYS list, items in hand. ARGV name of the batch, most items, most bytes of all of them.
// Returns {token, item, …}: what is in hand, in the order of the list, up to so many bytes.
//
// Safe to repeat and to run by several at once: while anything is in hand nothing is taken,
// and every caller gets the same items. An item enters the hash before it leaves the list, in
// the same step. The HDEL removes nothing. It is a write that Redis allows, and then
// the rest of the script, even when out of memory: a Redis that is full of parked messages
// must be emptied.
var takeScript = rdb.NewScript(`
local most, room = tonumber(ARGV[2]), tonumber(ARGV[3])
local held, order, number = {}, {}, {}
local all = redis.call('HGETALL', KEYS[2])
for i = 1, #all, 2 do order[#order + 1], number[i] = i, tonumber(string.match(all[i], '%.(%d+)$')) or 0 end
table.sort(order, function(a, b) return number[a] < number[b] end)
for n, i in ipairs(order) do
  room = room - #all[i + 1]
  if n > 1 and room < 0 then break end
  held[#held + 1], held[#held + 2] = all[i], all[i + 1]
end
if #held > 0 then return held end
redis.call('HDEL', KEYS[2], ARGV[1])
for i = 1, most do
  local item = redis.call('LINDEX', KEYS[1], 0)
  if not item or i > 1 and #item > room then break end
  room = room - #item
  local token = ARGV[1] .. '.' .. i
  redis.call('HSET', KEYS[2], token, item)
  redis.call('LPOP', KEYS[1])
  held[#held + 1] = token
  held[#held + 1] = item
end
return held
`)

// Take returns the items in hand of a list. If there are none, it first takes some from the left
// of the list: at most count items and, but for the first, at most bytes. They keep their order.
func (r *RecoverLists) Take(ctx context.Context, list string, count int, bytes int64) ([]medispatcher.RecoverItem, error) {
	k := []string{list, r.store.keys.Hand(list)}
	most := r.store.parked.of(int(bytes))
	res, err := takeScript.Run(ctx, r.store.db, k, rand.Text(), count, most).StringSlice()
	r.store.parked.note(most, err)
	if err != nil {
		return nil, rdb.Failed("take from "+list, err)
	}
	items := make([]medispatcher.RecoverItem, 0, len(res)/2)
	for i := 0; i+1 < len(res); i += 2 {
		items = append(items, medispatcher.RecoverItem{Token: res[i], Text: res[i+1]})
	}
	return items, nil
}

// Drop forgets items in hand that are safe elsewhere. Safe to repeat.
func (r *RecoverLists) Drop(ctx context.Context, list string, tokens []string) error {
	return rdb.Failed("drop from "+list, rdb.Int(r.store.db.With(ctx), rdb.Cmd("HDEL", r.store.keys.Hand(list), tokens...)...).Err())
}
