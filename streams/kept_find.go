package streams

import (
	"context"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/streams/internal/rdb"
)

// keptSearched bounds the kept messages of a partition that are searched in each place.
const keptSearched = 10_000

// keptStates are what a story calls the places of kept messages.
var keptStates = map[medispatcher.KeptPlace]medispatcher.State{
	medispatcher.PlaceQuarantine: medispatcher.Quarantined, medispatcher.PlaceUnrouted: medispatcher.Unrouted,
}

// KeptSearch names a message that may be kept somewhere.
type KeptSearch struct {
	Partition int
	ID        string // its producer's; "" for a generated one
	Entry     string // of the incoming stream; "" when it is not known
	From      string // the first entry id that it can have; used when Entry is known
}

// KeptFound is where a message is kept.
type KeptFound struct {
	Places []medispatcher.Place
	Topic  string
	Whole  bool // everything that may be the message was looked at
}

// FindKept looks for a message among those that reached no channel: from the time of its entry
// on, or, where that is not known, from the newest back.
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

// is tells whether a kept message is the one that is searched.
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
