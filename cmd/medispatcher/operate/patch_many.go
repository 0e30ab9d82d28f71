package operate

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/solate/medispatcher"
)

// MaxPatched bounds the subscriptions that one request may name.
const MaxPatched = 1000

// Patcher merges a patch into a subscription.
type Patcher interface {
	Patch(ctx context.Context, id string, patch []byte, ifMatch string) (sub medispatcher.Subscription, rev string, err error)
}

// PatchRefused is a subscription that is unchanged.
type PatchRefused struct {
	ID      string `json:"id"`
	Problem string `json:"problem"`
	Err     error  `json:"-"`
}

// Patched is what became of many subscriptions that get the same patch.
type Patched struct {
	Changed   int            `json:"changed" doc:"How many subscriptions are as asked for now"`
	Failed    []PatchRefused `json:"failed,omitempty" doc:"Those that are unchanged, each with the reason"`
	Remaining []string       `json:"remaining,omitempty" doc:"Not reached in time: send them again"`
}

// Distinct returns a list without repetitions, in the same order.
func Distinct(list []string) []string {
	seen := make(map[string]bool, len(list))
	return slices.DeleteFunc(slices.Clone(list), func(s string) bool {
		was := seen[s]
		seen[s] = true
		return was
	})
}

// PatchMany merges one patch into subscriptions, one after another while more says so. One that cannot be changed leaves the others
// alone. Each change is recorded as its own. An error means that Redis is away or refuses; it is safe to send all of them again.
func PatchMany(ctx context.Context, r Patcher, ids []string, patch []byte, more func() bool) (done Patched, err error) {
	for i, id := range ids {
		if !more() {
			done.Remaining = ids[i:]
			return done, nil
		}
		_, _, err := r.Patch(ctx, id, patch, "")
		_, wrong := errors.AsType[medispatcher.Problems](err)
		switch {
		case err == nil:
			done.Changed++
		case wrong, errors.Is(err, medispatcher.ErrNotFound), errors.Is(err, medispatcher.ErrConflict):
			done.Failed = append(done.Failed, PatchRefused{id, medispatcher.OneLine(err), err})
		default:
			done.Remaining = ids[i:]
			return done, err
		}
	}
	return done, nil
}

// Holds reports whether the id or the topic of a subscription holds a text, in any case. "" is in each.
func Holds(s *medispatcher.Subscription, text string) bool {
	text = strings.ToLower(text)
	return strings.Contains(strings.ToLower(s.ID), text) || strings.Contains(strings.ToLower(s.Topic), text)
}
