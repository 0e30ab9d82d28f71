package streams

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/solate/medispatcher"
)

// replayPause is how long a replay waits for a channel that holds enough.
const replayPause = 200 * time.Millisecond

// Replayer carries out replays from the archive.
type Replayer struct {
	Store    *Store
	Registry *Registry
	// Tell is told of progress, after each step. It may be nil.
	Tell func(medispatcher.ReplayProgress)
	// Patience is how long it waits for a full channel before it gives up with ErrReplayWaits; 0: for ever.
	Patience time.Duration
}

// ErrReplayWaits says that a replay is not finished, because its subscription has to take some of its messages first.
var ErrReplayWaits = errors.New("the channel is full")

// Run goes on with a replay until it is finished, was stopped, or ctx ends. A partition that fails does not keep the others from
// going on; the replay is then not over, and the error names the partition. If the subscription was removed, the replay is over, and
// the error is ErrNotFound.
func (x *Replayer) Run(ctx context.Context, r medispatcher.Replay) (medispatcher.ReplayProgress, error) {
	var all tally
	var errs []error
	n := x.Store.Partitions()
	for p := range n {
		part, err := x.partition(ctx, &r, p, func(now replayPart, waits bool) {
			if x.Tell != nil {
				x.Tell(all.with(&now, n, waits))
			}
		})
		switch {
		case errors.Is(err, errReplayGone): // somebody else has finished or stopped it
			return x.Store.ReplayProgress(ctx, r)
		case errors.Is(err, medispatcher.ErrNotFound):
			return all.with(&part, n, false), errors.Join(err, x.Store.EndReplay(ctx, &r))
		case ctx.Err() != nil:
			return all.with(&part, n, false), ctx.Err()
		case err != nil:
			errs = append(errs, err)
		}
		all.add(&part)
	}
	if len(errs) > 0 {
		return all.ReplayProgress, errors.Join(errs...)
	}
	return all.ReplayProgress, x.Store.EndReplay(ctx, &r)
}

// tally adds up the partitions that are behind.
type tally struct {
	medispatcher.ReplayProgress
	parts int
}

func (t *tally) add(part *replayPart) {
	t.parts++
	t.Looked, t.Replayed = t.Looked+part.looked, t.Replayed+part.replayed
	t.Done = 1
}

// with is the progress when a replay is in the midst of one more partition of n.
func (t *tally) with(part *replayPart, n int, waits bool) medispatcher.ReplayProgress {
	return medispatcher.ReplayProgress{
		Looked: t.Looked + part.looked, Replayed: t.Replayed + part.replayed, Waits: waits,
		Done: (float64(t.parts) + part.share()) / float64(n),
	}
}

// share is how much of the window of a partition is behind the place, by time, 0 to 1.
func (part *replayPart) share() float64 {
	if part.to == "" || part.over() {
		return 1
	}
	ms := func(id string) float64 {
		head, _, _ := strings.Cut(id, "-")
		n, _ := strconv.ParseInt(head, 10, 64)
		return float64(n)
	}
	from := ms(part.from)
	return math.Max(0, math.Min(1, (ms(part.place)-from)/math.Max(1, ms(part.to)-from)))
}

// partition goes on with a replay in one partition.
func (x *Replayer) partition(ctx context.Context, r *medispatcher.Replay, p int, tell func(now replayPart, waits bool)) (part replayPart, err error) {
	if now, err := x.Store.ReplayOf(ctx, r.Subscription); errors.Is(err, medispatcher.ErrNotFound) || err == nil && now.ID != r.ID {
		return part, errReplayGone // it was stopped
	}
	if part, err = x.Store.beginReplay(ctx, p, r); err != nil {
		return part, err
	}
	for {
		tell(part, false)
		if part.over() {
			return part, nil
		}
		if err := x.pages(ctx, r, &part, tell); err != nil {
			return part, err
		}
	}
}

// pages replays page after page, until the end of the window, or until somebody else has moved the place.
func (x *Replayer) pages(ctx context.Context, r *medispatcher.Replay, part *replayPart, tell func(now replayPart, waits bool)) error {
	for ctx.Err() == nil && !part.over() {
		list, err := x.Store.readArchive(ctx, part.p, "("+part.place, part.to)
		if err != nil {
			return err
		}
		page := replayPage{next: part.to, looked: len(list)}
		if len(list) > 0 {
			page.next = list[len(list)-1].id
		}
		for full, since := true, time.Now(); full; {
			sub, err := x.subscription(ctx, r.Subscription)
			if err != nil {
				return err
			}
			page.want(r, sub, list)
			if full, err = x.Store.replayStep(ctx, r, part, page); err != nil {
				return err
			}
			tell(*part, full)
			switch {
			case full && x.Patience > 0 && time.Since(since) > x.Patience:
				return ErrReplayWaits
			case full && !medispatcher.Sleep(ctx, replayPause):
				return ctx.Err()
			}
		}
		if part.place != page.next {
			return nil
		}
	}
	return ctx.Err()
}

// subscription is the one that is replayed to, no older than this call.
func (x *Replayer) subscription(ctx context.Context, id string) (*medispatcher.Subscription, error) {
	subs, err := x.Registry.Latest(ctx)
	if err != nil {
		return nil, err
	}
	if sub := subs.Subs.Get(id); sub != nil {
		return sub, nil
	}
	if subs.Exists(id) {
		return nil, fmt.Errorf("the stored document of subscription %q cannot be read", id)
	}
	return nil, notFound(id)
}

// want chooses the messages of a page that are replayed. A message that was routed to a new subscription is not replayed to it.
func (g *replayPage) want(r *medispatcher.Replay, sub *medispatcher.Subscription, list []archived) {
	g.wanted, g.bytes, g.ordered = nil, 0, sub.Ordered
	for i := range list {
		if m := &list[i]; (r.Revision == 0 || m.revision < r.Revision) && r.Wants(sub, &m.message) {
			g.wanted, g.bytes = append(g.wanted, m.id), g.bytes+m.bytes
		}
	}
}

// Count finds out what a replay would do. It changes nothing.
func (x *Replayer) Count(ctx context.Context, r medispatcher.Replay) (n medispatcher.ReplayCount, err error) {
	sub, err := x.subscription(ctx, r.Subscription)
	if err != nil {
		return n, err
	}
	to := "+"
	if !r.Until.IsZero() {
		to = strconv.FormatInt(r.Until.UnixMilli(), 10)
	}
	for p := range x.Store.Partitions() {
		for from := strconv.FormatInt(r.Since.UnixMilli(), 10); ; {
			page, err := x.Store.readArchive(ctx, p, from, to)
			if err != nil {
				return n, fmt.Errorf("partition %d: %w", p, err)
			}
			if len(page) == 0 {
				break
			}
			from = "(" + page[len(page)-1].id
			for i := range page {
				if n.Looked++; r.Wants(sub, &page[i].message) {
					n.Messages++
					n.Bytes += int64(len(page[i].message.Body))
				}
			}
		}
	}
	return n, nil
}

// ReplayProgress is how far a replay has come.
func (s *Store) ReplayProgress(ctx context.Context, r medispatcher.Replay) (medispatcher.ReplayProgress, error) {
	var all tally
	n := s.Partitions()
	share := 0.0
	for p := range n {
		part, err := s.replayPlace(ctx, p, &r)
		if err != nil {
			return all.ReplayProgress, err
		}
		share += part.share()
		all.add(&part)
	}
	all.Done = share / float64(n)
	return all.ReplayProgress, nil
}
