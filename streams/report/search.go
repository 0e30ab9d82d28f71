package report

import (
	"context"
	"slices"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/streams/internal/entry"
	"github.com/solate/medispatcher/streams/internal/rdb"
)

// A search reads entries with XRANGE and compares them here, because a body that passes through Lua
// costs Redis some twenty times as much. Each round trip is bounded, because Redis serves all of it
// in one go.
const (
	searchRoundBytes = 4 << 20 // in one round trip, estimated from the entries before
	searchEntries    = 2000    // in one stream, from where the message should be
	searchBytes      = 1 << 30 // in one search
	searchStreams    = 100     // subscriptions searched together
)

// searcher looks for the copies of one message.
type searcher struct {
	report *Report
	trail  trail
	story  *medispatcher.Story
	left   int // bytes that may still be read
}

// search is the search of one stream.
type search struct {
	place  medispatcher.Place
	stream string
	from   string // id of the next entry to read
	looked int    // entries read
	size   int    // average bytes of an entry; 0: unknown
}

// findCopies looks for a message in the channels and the dead letters of subscriptions, and in the archive.
func (r *Report) findCopies(ctx context.Context, t trail, subs []string, story *medispatcher.Story) error {
	x := &searcher{report: r, trail: t, story: story, left: searchBytes}
	for chunk := range slices.Chunk(subs, searchStreams) {
		queue, err := x.filled(ctx, chunk)
		for len(queue) > 0 && err == nil {
			queue, err = x.round(ctx, queue)
		}
		if err == nil {
			err = x.findWaiting(ctx, chunk)
		}
		if err != nil {
			return rdb.Failed("look for a message", err)
		}
	}
	if !r.kept.Archives() {
		return nil
	}
	place := medispatcher.Place{State: medispatcher.Archived, Partition: t.p}
	queue, err := []*search{{place: place, stream: r.keys.Archive(t.p), from: t.from()}}, error(nil)
	for len(queue) > 0 && err == nil {
		queue, err = x.round(ctx, queue)
	}
	return rdb.Failed("look for a message", err)
}

// filled lists the streams of subscriptions that are not empty.
func (x *searcher) filled(ctx context.Context, subs []string) ([]*search, error) {
	k, p := x.report.keys, x.trail.p
	var all []*search
	for _, sub := range subs {
		place := medispatcher.Place{State: medispatcher.Ready, Subscription: sub, Partition: p}
		all = append(all, &search{place: place, stream: k.Channel(p, sub), from: x.trail.from()})
		place.State = medispatcher.Dead
		all = append(all, &search{place: place, stream: k.Dead(p, sub), from: x.trail.from()})
	}
	pipe := x.report.db.Pipe(ctx)
	lengths := make([]*rdb.Reply[int64], len(all))
	for i, f := range all {
		lengths[i] = rdb.Int(pipe, "XLEN", f.stream)
	}
	if err := pipe.Run(); err != nil && !rdb.IsWrongType(err) {
		return nil, err
	}
	var filled []*search
	for i, f := range all {
		if lengths[i].Val() > 0 {
			filled = append(filled, f)
		}
	}
	return filled, nil
}

// round continues in as many streams as one round trip allows. It returns the streams that are not finished.
func (x *searcher) round(ctx context.Context, queue []*search) ([]*search, error) {
	if x.left <= 0 {
		x.story.Searched = false
		return nil, nil
	}
	pipe := x.report.db.Pipe(ctx)
	var counts []int
	var cmds []*rdb.Reply[[]rdb.Entry]
	entries, bytes := rdb.BodiesChunk, searchRoundBytes
	for _, f := range queue {
		n := min(f.count(bytes), entries)
		if n == 0 {
			break
		}
		entries, bytes = entries-n, bytes-n*f.size
		counts = append(counts, n)
		cmds = append(cmds, rdb.Range(pipe, f.stream, f.from, "+", n))
	}
	if err := pipe.Run(); err != nil {
		return nil, err
	}
	rest := slices.Clone(queue[len(cmds):])
	for i, cmd := range cmds {
		more, err := x.compare(ctx, queue[i], cmd.Val(), counts[i])
		if err != nil {
			return nil, err
		}
		if more {
			rest = append(rest, queue[i])
		}
	}
	return rest, nil
}

// count is how many entries to ask for if so many bytes may be read.
func (f *search) count(bytes int) int {
	if f.size == 0 {
		return 1
	}
	if bytes <= 0 {
		return 0
	}
	return min(max(1, bytes/f.size), searchEntries-f.looked)
}

// compare looks for the message among the entries that were read. more says that the stream is not finished.
func (x *searcher) compare(ctx context.Context, f *search, entries []rdb.Entry, asked int) (more bool, err error) {
	read := 0
	for _, e := range entries {
		read += e.Fields.Bytes()
		if x.trail.isCopy(e) {
			return false, x.found(ctx, f, e.ID)
		}
	}
	x.left -= read
	if len(entries) < asked {
		return false, nil
	}
	f.from = rdb.NextID(entries[len(entries)-1].ID)
	f.looked += len(entries)
	f.size = max(1, read/len(entries))
	if f.looked >= searchEntries {
		x.story.Searched = false
		return false, nil
	}
	return true, nil
}

// isCopy reports whether an entry of a channel or of dead letters is a copy of the message.
func (t trail) isCopy(e rdb.Entry) bool {
	f := entry.CopyOf(e.Fields)
	return t.id != "" && f.ID == t.id || t.entry != "" && f.Src == t.entry
}

// found records the place of a copy, unless it left the stream meanwhile.
func (x *searcher) found(ctx context.Context, f *search, entryID string) error {
	k, p := x.report.keys, f.place
	pipe := x.report.db.ReadTx(ctx)
	copied := rdb.Range(pipe, f.stream, entryID, entryID, 1)
	pending := rdb.PendingOf(pipe, f.stream, rdb.GroupPush, entryID, entryID, 1, "")
	due := rdb.Float(pipe, "ZSCORE", k.Retry(p.Partition, p.Subscription), entryID)
	record := rdb.Text(pipe, "HGET", k.Failures(p.Partition, p.Subscription), entryID)
	if err := pipe.Run(); err != nil && !rdb.IsNil(err) && !rdb.IsNoGroup(err) {
		return err
	}
	if len(copied.Val()) == 0 {
		return nil
	}
	p.Entry = entryID
	fields := entry.CopyOf(copied.Val()[0].Fields)
	x.story.Topic = fields.Topic
	if p.State == medispatcher.Archived {
		at := rdb.EntryTime(entryID).UTC()
		p.Since = &at
		x.story.Places = append(x.story.Places, p)
		return nil
	}
	if p.State == medispatcher.Dead {
		if fields.Failure != "" {
			p.Failure = entry.DecodeFailure(fields.Failure)
		}
		x.story.Places = append(x.story.Places, p)
		return nil
	}
	if list := pending.Val(); len(list) > 0 {
		p.State, p.Attempt = medispatcher.Buried, int(list[0].Deliveries)
		if list[0].Consumer != rdb.Buried {
			p.Dispatcher = list[0].Consumer
		}
	}
	if due.Err() == nil {
		at := x.report.db.ShownDue(due.Val())
		p.Due = &at
	}
	if record.Err() == nil {
		p.Failure = entry.DecodeFailure(record.Val())
	}
	x.story.Places = append(x.story.Places, p)
	return nil
}
