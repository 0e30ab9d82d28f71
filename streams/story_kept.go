package streams

import (
	"context"

	"github.com/redis/go-redis/v9"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/streams/internal/rdb"
)

// searchKept bounds the kept messages of a partition that are searched in each place.
const searchKept = 10_000

// keptStates are what a story calls the places of kept messages.
var keptStates = map[medispatcher.KeptPlace]medispatcher.State{
	medispatcher.PlaceQuarantine: medispatcher.Quarantined, medispatcher.PlaceUnrouted: medispatcher.Unrouted,
}

// findKept looks for a message among those that reached no channel: from the time of its entry on, or, where that is not
// known, from the newest back.
func (s *Store) findKept(ctx context.Context, t trail, story *medispatcher.Story) error {
	pipe := s.db.Client.Pipeline()
	lengths := map[medispatcher.KeptPlace]*redis.IntCmd{}
	for _, place := range medispatcher.KeptPlaces {
		lengths[place] = pipe.XLen(ctx, s.keptKey(place)(t.p))
	}
	if _, err := pipe.Exec(ctx); err != nil && !rdb.IsWrongType(err) {
		return rdb.Failed("look for a message", err)
	}
	for _, place := range medispatcher.KeptPlaces {
		if lengths[place].Val() == 0 {
			continue
		}
		how, from, to := newest, "+", "-"
		if t.entry != "" {
			how, from, to = oldest, t.from(), "+"
		}
		for looked := 0; ; {
			rows, err := s.keptRange(ctx, place, t.p, how, from, to, keptPage)
			if err != nil {
				return err
			}
			for i := range rows {
				if t.is(&rows[i]) {
					foundKept(place, &rows[i], story)
				}
			}
			if len(rows) == 0 {
				break
			}
			if looked += len(rows); looked >= searchKept {
				story.Searched = false
				break
			}
			from = "(" + rows[len(rows)-1].entry
		}
	}
	return nil
}

// is tells whether a kept message is the one that is searched.
func (t trail) is(r *keptRow) bool {
	if t.id != "" && r.fields["id"] == t.id {
		return true
	}
	return t.id == "" && r.fields["id"] == "" && (r.fields["~src"] == t.entry || r.fields["~src"] == "" && r.source == t.entry)
}

func foundKept(place medispatcher.KeptPlace, r *keptRow, story *medispatcher.Story) {
	since := Entry{ID: r.entry}.Time().UTC()
	p := medispatcher.Place{State: keptStates[place], Partition: r.p, Entry: r.entry, Kept: r.id(), Since: &since, Reason: r.reason}
	if place == medispatcher.PlaceUnrouted {
		p.Reason = "no subscription wanted the topic"
	}
	if topic := r.fields["topic"]; topic != "" {
		story.Topic = topic
	}
	story.Places = append(story.Places, p)
}
