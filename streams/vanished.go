package streams

import (
	"cmp"
	"slices"
	"sync"

	"github.com/solate/medispatcher/streams/internal/rdb"
)

// These stand where the id of a subscription would, for messages before their fan-out: in counts, log lines and
// metrics.
const (
	FromIncoming = "~incoming"
	FromDelayed  = "~delayed"
)

// vanishedLua follows countLua in a script that may miss an entry because somebody removed it by hand: with XDEL,
// XTRIM or DEL. The step that notices counts what vanished, and returns one line for each place.
const vanishedLua = `
local places, place_of = {}, {}
local function vanish(from, id)
  local at = place_of[from]
  if not at then
    at = {from, 0, id, id}
    place_of[from], places[#places + 1] = at, at
  end
  at[2], at[4] = at[2] + 1, id
end
local function sub_of(channel) return string.match(channel, '}:ch:(.*)$') end
-- vanished counts the entries that were noted, but for those that the audit counted before. It returns
-- {from, entries counted now, first id, last id} for each place.
local function vanished()
  for _, at in ipairs(places) do
    local early = tonumber(redis.call('HGET', KEYS[4], '~early:' .. at[1]) or 0)
    local known = math.min(at[2], early)
    at[2] = at[2] - known
    if known > 0 then redis.call('HINCRBY', KEYS[4], '~early:' .. at[1], -known) end
    if at[2] > 0 then count('vanished:' .. at[1], at[2]) end
  end
  return places
end
`

// Vanished is the messages of one place that somebody removed from Redis by hand before they were settled.
type Vanished struct {
	Partition int
	From      string // a subscription, FromIncoming or FromDelayed
	Count     int64
	// First and Last are the ids of the first and the last entry that this process noticed. They are
	// empty if only the number is known.
	First, Last string
}

// vanishings collects what the steps of this process noticed, one item for each place, until TakeVanished.
type vanishings struct {
	mu   sync.Mutex
	list []Vanished
}

func (v *vanishings) note(n Vanished) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for i := range v.list {
		if at := &v.list[i]; at.Partition == n.Partition && at.From == n.From {
			at.Count += n.Count
			at.First, at.Last = cmp.Or(at.First, n.First), cmp.Or(n.Last, at.Last)
			return
		}
	}
	v.list = append(v.list, n)
}

// TakeVanished returns what this process noticed since the last call, with subscriptions first.
func (s *Store) TakeVanished() []Vanished {
	s.vanished.mu.Lock()
	list := s.vanished.list
	s.vanished.list = nil
	s.vanished.mu.Unlock()
	slices.SortFunc(list, func(a, b Vanished) int {
		return cmp.Or(-cmp.Compare(a.From, b.From), cmp.Compare(a.Partition, b.Partition))
	})
	return list
}

// noteVanished notes what vanished() returned in a script.
func (s *Store) noteVanished(p int, answer any) {
	list, _ := answer.([]any)
	for _, raw := range list {
		if at, _ := raw.([]any); len(at) == 4 {
			n := Vanished{Partition: p, Count: int64(rdb.ToInt(at[1]))}
			n.From, _ = at[0].(string)
			n.First, _ = at[2].(string)
			n.Last, _ = at[3].(string)
			if n.Count > 0 {
				s.vanished.note(n)
			}
		}
	}
}
