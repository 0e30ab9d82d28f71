package streams

import (
	"context"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/streams/internal/rdb"
)

// keptSearched is about how many kept messages are searched in each place of a partition.
const keptSearched = 10_000

// keptStates maps the places of kept messages to the states that a story shows.
var keptStates = map[medispatcher.KeptPlace]medispatcher.State{
	medispatcher.PlaceQuarantine: medispatcher.Quarantined, medispatcher.PlaceUnrouted: medispatcher.Unrouted,
}

// KeptSearch names a message that may be kept somewhere.
type KeptSearch struct {
	Partition int
	ID        string // given by its producer; "" if it was generated
	Entry     string // its id in the incoming stream; "" if unknown
	From      string // the first entry id that it can have where it is kept; used only with Entry
}

// KeptFound is where a message is kept.
type KeptFound struct {
	Places []medispatcher.Place
	Topic  string
	Whole  bool // the search was complete
}

// FindKept looks for a message among those that reached no channel. It searches from the time of
// its entry on or, if that is unknown, from the newest back.
func (s *Store) FindKept(ctx context.Context, q KeptSearch) (KeptFound, error) {
	found := KeptFound{Whole: true}
	pipe := s.db.Pipe(ctx)
	lengths := map[medispatcher.KeptPlace]*rdb.Reply[int64]{}
	for _, place := range medispatcher.KeptPlaces {
		lengths[place] = rdb.Int(pipe, "XLEN", s.keptKey(place)(q.Partition))
	}
	if err := pipe.Run(); err != nil && !rdb.IsWrongType(err) {
		return found, rdb.Failed("look for a message", err)
	}
	for _, place := range medispatcher.KeptPlaces {
		if lengths[place].Val() == 0 {
			continue
		}
		how, from, to := newest, "+", "-"
		if q.Entry != "" {
			how, from, to = oldest, q.From, "+"
		}
		for looked := 0; ; {
			rows, err := s.keptRange(ctx, place, q.Partition, how, from, to, keptPage)
			if err != nil {
				return found, err
			}
			for i := range rows {
				if q.is(&rows[i]) {
					found.note(place, &rows[i])
				}
			}
			if len(rows) == 0 {
				break
			}
			if looked += len(rows); looked >= keptSearched {
				found.Whole = false
				break
			}
			from = "(" + rows[len(rows)-1].entry
		}
	}
	return found, nil
}

// is reports whether a kept message is the one searched for.
func (q *KeptSearch) is(r *keptRow) bool {
	if q.ID != "" && r.fields["id"] == q.ID {
		return true
	}
	return q.ID == "" && r.fields["id"] == "" && (r.fields["~src"] == q.Entry || r.fields["~src"] == "" && r.source == q.Entry)
}

func (f *KeptFound) note(place medispatcher.KeptPlace, r *keptRow) {
	since := Entry{ID: r.entry}.Time().UTC()
	p := medispatcher.Place{State: keptStates[place], Partition: r.p, Entry: r.entry, Kept: r.id(), Since: &since, Reason: r.reason}
	if place == medispatcher.PlaceUnrouted {
		p.Reason = "no subscription wanted the topic"
	}
	if topic := r.fields["topic"]; topic != "" {
		f.Topic = topic
	}
	f.Places = append(f.Places, p)
}
