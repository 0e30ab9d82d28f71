package operate

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/solate/medispatcher"
)

// Archive is what is known of the messages that are kept, and of the replays that are not finished.
type Archive interface {
	// Archives reports whether an archive is kept. It asks nobody.
	Archives() bool
	ArchiveSpan(ctx context.Context) (medispatcher.ArchiveSpan, error)
	// ReplayOf is the replay of a subscription. The error is ErrNotFound if there is none.
	ReplayOf(ctx context.Context, sub string) (medispatcher.Replay, error)
	ReplayProgress(ctx context.Context, r medispatcher.Replay) (medispatcher.ReplayProgress, error)
}

// ArchiveFor is what the archive holds, and the replay to a subscription; nil: nothing, and none.
func ArchiveFor(ctx context.Context, a Archive, sub string) (*medispatcher.ArchiveSpan, *medispatcher.ReplayState, error) {
	if !a.Archives() {
		return nil, nil, nil
	}
	span, err := a.ArchiveSpan(ctx)
	if err != nil || span.Messages == 0 {
		return nil, nil, err
	}
	r, err := a.ReplayOf(ctx, sub)
	if errors.Is(err, medispatcher.ErrNotFound) {
		return &span, nil, nil
	}
	if err != nil {
		return &span, nil, err
	}
	progress, err := a.ReplayProgress(ctx, r)
	return &span, &medispatcher.ReplayState{Replay: r, Progress: progress}, err
}

// NewReplay is the replay that somebody asks for. The error is medispatcher.Problems.
func NewReplay(ctx context.Context, sub string, ask medispatcher.ReplayAsk, now time.Time) (medispatcher.Replay, error) {
	since, until, err := ask.Window(now)
	return medispatcher.Replay{
		ID: rand.Text(), Subscription: sub, Asked: ask, Since: since.UTC(), Until: until.UTC(), Started: now.UTC(), By: medispatcher.Actor(ctx),
	}, err
}

// NewFrom is the replay that a new subscription begins with. from is how long ago, or a time. The error is medispatcher.Problems.
func NewFrom(ctx context.Context, sub, from string, now time.Time) (medispatcher.Replay, error) {
	r, err := NewReplay(ctx, sub, medispatcher.ReplayAsk{Since: from}, now)
	r.New, r.Background = true, true
	if problems, bad := errors.AsType[medispatcher.Problems](err); bad {
		problems = slices.Clone(problems)
		for i := range problems {
			problems[i].Field = "from"
		}
		err = problems
	}
	return r, err
}

// WithoutArchive are the living dispatchers that keep no archive, by id, and how many live.
func WithoutArchive(all []medispatcher.Dispatcher) (without []string, living int) {
	for i := range all {
		if d := &all[i]; d.Alive {
			if living++; d.Retention == 0 {
				without = append(without, d.ID)
			}
		}
	}
	slices.Sort(without)
	return without, living
}

// NoArchiveError says why there is nothing to replay.
const NoArchiveError = "the archive is empty: set MEDIS_RETENTION at every dispatcher; it keeps what is published from then on"

// MayBegin is an error if a new subscription could miss messages: a dispatcher keeps no archive. The error is medispatcher.Problems.
func MayBegin(all []medispatcher.Dispatcher) error {
	if without, _ := WithoutArchive(all); len(without) > 0 {
		return medispatcher.Problems{{Field: "from", Problem: fmt.Sprintf(
			"needs an archive at every dispatcher, and %s keeps none; set MEDIS_RETENTION there, or leave from out", strings.Join(without, ", "))}}
	}
	return nil
}

// Shortfall says that the archive does not hold all of a window, or may not; "" if it does.
func Shortfall(span medispatcher.ArchiveSpan, all []medispatcher.Dispatcher, since time.Time) string {
	var says []string
	if span.Messages > 0 && span.Oldest.After(since) {
		says = append(says, "the archive begins at "+span.Oldest.UTC().Format(time.RFC3339)+"; what is older is not in it")
	}
	if without, living := WithoutArchive(all); len(without) > 0 && len(without) < living {
		says = append(says, strings.Join(without, ", ")+" keeps no archive: what it fanned out is missing")
	}
	return strings.Join(says, "; ")
}
