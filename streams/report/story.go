package report

import (
	"cmp"
	"context"
	"net/url"
	"strings"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/streams"
	"github.com/solate/medispatcher/streams/internal/rdb"
)

// trail is what is known about a message before the search.
type trail struct {
	id    string // the id from the producer; empty if it was generated
	entry string // id of the incoming entry; empty if unknown
	p     int
}

// from is the smallest entry id that a copy can have.
func (t trail) from() string {
	if t.entry == "" {
		return "-"
	}
	ms, _, _ := strings.Cut(t.entry, "-")
	return ms
}

// Story finds where a message is: among the incoming, delayed and kept messages, and in the
// channels and dead letters of subscriptions. It adds the recorded events. id is the id from the
// producer, a generated "<partition>-<entry id>", or the value of the webhook-id header.
func (r *Report) Story(ctx context.Context, id string, subs []string) (medispatcher.Story, error) {
	story := medispatcher.Story{ID: id, Places: []medispatcher.Place{}, Events: []medispatcher.Event{}, Searched: true}
	if err := r.db.Hear(ctx); err != nil {
		return story, err
	}
	trails, err := r.trails(ctx, id)
	if err != nil {
		return story, err
	}
	for _, t := range trails {
		if err := r.findBeforeFanout(ctx, t, &story); err != nil {
			return story, err
		}
		kept, err := r.kept.FindKept(ctx, streams.KeptSearch{Partition: t.p, ID: t.id, Entry: t.entry, From: t.from()})
		if err != nil {
			return story, err
		}
		story.Places = append(story.Places, kept.Places...)
		story.Topic = cmp.Or(kept.Topic, story.Topic)
		story.Searched = story.Searched && kept.Whole
		if err := r.findCopies(ctx, t, subs, &story); err != nil {
			return story, err
		}
		if err := r.readEvents(ctx, t, &story); err != nil {
			return story, err
		}
	}
	if medispatcher.CheckTopic(story.Topic) != nil {
		story.Topic = "" // of an entry that cannot be decoded: it may be a body, which not all may see
	}
	for i := range story.Places {
		story.Places[i].At = story.Places[i].Ref()
	}
	return story, nil
}

// trails are the incoming entries that may be the message. A generated id names partition and entry.
// An id from a producer may be in any partition; while it is remembered for deduplication, Redis
// knows its partition and entry.
func (r *Report) trails(ctx context.Context, id string) ([]trail, error) {
	if p, entry, err := rdb.SplitID(r.db.Partitions(), id); err == nil {
		return []trail{{entry: entry, p: p}}, nil
	}
	ids := []string{id}
	if plain, err := url.PathUnescape(id); err == nil && plain != id {
		ids = append(ids, plain) // webhook-id carries ids percent-encoded
	}
	pipe := r.db.Pipe(ctx)
	var trails []trail
	var seen []*rdb.Reply[string]
	for _, id := range ids {
		for p := range r.db.Partitions() {
			trails = append(trails, trail{id: id, p: p})
			seen = append(seen, rdb.Text(pipe, "GET", r.keys.Seen(p, id)))
		}
	}
	if err := pipe.Run(); err != nil && !rdb.IsNil(err) {
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

func (r *Report) findBeforeFanout(ctx context.Context, t trail, story *medispatcher.Story) error {
	if t.entry == "" {
		return nil
	}
	pipe := r.db.Pipe(ctx)
	entry := rdb.Range(pipe, r.keys.Incoming(t.p), t.entry, t.entry, 1)
	due := rdb.Float(pipe, "ZSCORE", r.keys.Delayed(t.p), t.entry)
	if err := pipe.Run(); err != nil && !rdb.IsNil(err) && !rdb.IsWrongType(err) {
		return rdb.Failed("look for a message", err)
	}
	for _, e := range entry.Val() {
		story.Topic = e.Fields.Get("topic")
		story.Places = append(story.Places, medispatcher.Place{State: medispatcher.Incoming, Partition: t.p, Entry: e.ID})
	}
	if due.Err() == nil {
		at := r.db.ShownDue(due.Val())
		story.Places = append(story.Places, medispatcher.Place{State: medispatcher.Delayed, Partition: t.p, Entry: t.entry, Due: &at})
	}
	return nil
}
