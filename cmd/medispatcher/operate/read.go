package operate

import (
	"context"

	"github.com/solate/medispatcher"
)

// Records are what the dispatchers counted, and who changed which subscription.
type Records interface {
	Stats(ctx context.Context, subs, topics []string) (medispatcher.Stats, error)
	Changes(ctx context.Context, id, before string, limit int) ([]medispatcher.Change, error)
}

// Attempts are the latest attempts of a subscription that were noted, the latest first.
type Attempts interface {
	Attempts(ctx context.Context, sub string) ([]medispatcher.Attempt, error)
}

// Trail is who did what.
type Trail interface {
	// Note adds a deed, whose id and time it ignores.
	Note(ctx context.Context, d medispatcher.Deed) error
	// Deeds lists up to limit deeds, at most 500, the latest first. before is the id of the last one seen, empty at first;
	// one that cannot be an id is a medispatcher.FieldError.
	Deeds(ctx context.Context, before string, limit int) ([]medispatcher.Deed, error)
}

// DeadLetters reads messages whose attempts are exhausted. An id that cannot be one is a medispatcher.FieldError.
type DeadLetters interface {
	DeadLetters(ctx context.Context, id, after string, limit int) ([]medispatcher.DeadLetter, error)
	DeadLetter(ctx context.Context, id, letter string) (medispatcher.DeadLetter, error)
	SearchDead(ctx context.Context, id string, q medispatcher.Search, limit int, more func(looked int64) bool) (medispatcher.DeadPage, error)
}

// KeptMessages reads messages that reached no channel. An id that cannot be one is a medispatcher.FieldError.
type KeptMessages interface {
	ListKept(ctx context.Context, place medispatcher.KeptPlace, q medispatcher.KeptQuery) ([]medispatcher.Kept, error)
	ReadKept(ctx context.Context, place medispatcher.KeptPlace, id string) (medispatcher.Kept, error)
	SearchKept(ctx context.Context, place medispatcher.KeptPlace, q medispatcher.Search, limit int, more func(looked int64) bool) (medispatcher.KeptPage, error)
}
