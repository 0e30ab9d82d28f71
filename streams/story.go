package streams

import (
	"context"
	"errors"
	"net/url"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/streams/internal/rdb"
)

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

// Story finds where a message is, among the incoming entries, the delayed and the kept ones, and the
// channels and dead letters of subscriptions, and what was kept of its history. id is the
// one its producer gave, "<partition>-<entry id>", or what the webhook-id header carried.
func (s *Store) Story(ctx context.Context, id string, subs []string) (medispatcher.Story, error) {
	story := medispatcher.Story{ID: id, Places: []medispatcher.Place{}, Events: []medispatcher.Event{}, Searched: true}
	if err := s.db.Hear(ctx); err != nil {
		return story, err
	}
	trails, err := s.trails(ctx, id)
	if err != nil {
		return story, err
	}
	for _, t := range trails {
		if err := s.findBeforeFanout(ctx, t, &story); err != nil {
			return story, err
		}
		if err := s.findKept(ctx, t, &story); err != nil {
			return story, err
		}
		if err := s.findCopies(ctx, t, subs, &story); err != nil {
			return story, err
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
	pipe := s.db.Client.Pipeline()
	var trails []trail
	var seen []*redis.StringCmd
	for _, id := range ids {
		for p := range s.cfg.Partitions {
			trails = append(trails, trail{id: id, p: p})
			seen = append(seen, pipe.Get(ctx, s.keys.Seen(p, id)))
		}
	}
	if _, err := pipe.Exec(ctx); err != nil && !errors.Is(err, redis.Nil) {
		return nil, rdb.Failed("look for a message", err)
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
	pipe := s.db.Client.Pipeline()
	entry := pipe.XRangeN(ctx, s.keys.Incoming(t.p), t.entry, t.entry, 1)
	due := pipe.ZScore(ctx, s.keys.Delayed(t.p), t.entry)
	if _, err := pipe.Exec(ctx); err != nil && !errors.Is(err, redis.Nil) && !rdb.IsWrongType(err) {
		return rdb.Failed("look for a message", err)
	}
	for _, e := range entry.Val() {
		story.Topic, _ = e.Values["topic"].(string)
		story.Places = append(story.Places, medispatcher.Place{State: medispatcher.Incoming, Partition: t.p, Entry: e.ID})
	}
	if due.Err() == nil {
		at := s.db.ShownDue(due.Val())
		story.Places = append(story.Places, medispatcher.Place{State: medispatcher.Delayed, Partition: t.p, Entry: t.entry, Due: &at})
	}
	return nil
}
