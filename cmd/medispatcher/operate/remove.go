package operate

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/solate/medispatcher"
)

// Registry finds and removes subscriptions.
type Registry interface {
	Get(ctx context.Context, id string) (sub medispatcher.Subscription, rev string, err error)
	Remove(ctx context.Context, id, ifMatch string) error
}

// Keys are what Redis holds of a subscription.
type Keys interface {
	ChannelStatus(ctx context.Context, ids []string) ([]medispatcher.ChannelStatus, error)
	// Discard removes the keys; if messages is false, only when they hold none. It returns what they held.
	Discard(ctx context.Context, id string, messages bool) (medispatcher.ChannelStatus, error)
}

// Held is how many messages a subscription holds.
type Held medispatcher.ChannelStatus

// HeldBy counts the messages of a subscription, which need not be registered.
func HeldBy(ctx context.Context, keys Keys, id string) (Held, error) {
	counts, err := keys.ChannelStatus(ctx, []string{id})
	if err != nil || len(counts) == 0 {
		return Held{}, err
	}
	return Held(counts[0]), nil
}

// Empty reports whether there are none, dead letters included.
func (h Held) Empty() bool { return h.Ready+h.Buried+h.Dead == 0 }

func (h Held) String() string {
	var parts []string
	for _, c := range []struct {
		n     int64
		state medispatcher.State
	}{{h.Ready, medispatcher.Ready}, {h.Buried, medispatcher.Buried}, {h.Dead, medispatcher.Dead}} {
		if c.n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", c.n, c.state))
		}
	}
	return "messages (" + strings.Join(parts, ", ") + ")"
}

// Known returns ErrNotFound when there is no such subscription and Redis holds nothing of one: an operator can still
// handle the messages of a subscription that was removed.
func Known(ctx context.Context, registry Registry, keys Keys, id string) error {
	_, _, err := registry.Get(ctx, id)
	if !errors.Is(err, medispatcher.ErrNotFound) {
		if _, unusable := errors.AsType[medispatcher.Problems](err); unusable {
			return nil // only its document is: its messages are there
		}
		return err
	}
	if medispatcher.CheckSubscriptionID(id) != nil {
		return err
	}
	held, heldErr := HeldBy(ctx, keys, id)
	if heldErr != nil {
		return heldErr
	}
	if held.Empty() {
		return err
	}
	return nil
}

// NotEmptyError says that a subscription holds messages, and purge was not asked for.
type NotEmptyError struct {
	ID      string
	Held    Held
	Unknown bool // it was removed before
	Removed bool // it is removed now, and these arrived meanwhile
}

func (e *NotEmptyError) Error() string {
	switch {
	case e.Unknown:
		return fmt.Sprintf("subscription %q: %v, but Redis holds %s of it", e.ID, medispatcher.ErrNotFound, e.Held)
	case e.Removed:
		return fmt.Sprintf("subscription %q is removed, and meanwhile %s arrived, which are kept", e.ID, e.Held)
	}
	return fmt.Sprintf("subscription %q holds %s, so it is not removed", e.ID, e.Held)
}

// Unwrap is ErrNotFound for an unknown subscription, else ErrConflict.
func (e *NotEmptyError) Unwrap() error {
	if e.Unknown {
		return medispatcher.ErrNotFound
	}
	return medispatcher.ErrConflict
}

// LeftoverError says that the subscription is removed and its messages are not.
type LeftoverError struct {
	ID    string
	Cause error
}

func (e *LeftoverError) Error() string {
	return fmt.Sprintf("subscription %q is removed, but its messages are not", e.ID)
}

// Unwrap is the reason.
func (e *LeftoverError) Unwrap() error { return e.Cause }

// Remove removes a subscription from the registry and its keys from Redis, and returns what they
// held. Without purge it refuses to while they hold messages. The registry comes first, because
// keys that were discarded first would fill up again. Repeated with purge, it finishes what an
// earlier call began. Errors are those of the registry, *NotEmptyError and *LeftoverError.
func Remove(ctx context.Context, registry Registry, keys Keys, id, ifMatch string, purge bool) (Held, error) {
	_, _, err := registry.Get(ctx, id)
	unknown := errors.Is(err, medispatcher.ErrNotFound)
	if _, unusable := errors.AsType[medispatcher.Problems](err); err != nil && !unknown && !unusable {
		return Held{}, err // what cannot be read can still be removed
	}
	if unknown && (ifMatch != "" || medispatcher.CheckSubscriptionID(id) != nil) {
		return Held{}, err
	}
	held, heldErr := HeldBy(ctx, keys, id)
	switch {
	case heldErr != nil:
		return Held{}, heldErr
	case unknown && held.Empty():
		return Held{}, err
	case !purge && !held.Empty():
		return Held{}, &NotEmptyError{ID: id, Held: held, Unknown: unknown}
	}
	if !unknown {
		if err := registry.Remove(ctx, id, ifMatch); err != nil {
			return Held{}, err
		}
	}
	found, err := keys.Discard(ctx, id, purge)
	switch thrown := Held(found); {
	case err != nil:
		return Held{}, &LeftoverError{id, err}
	case !purge && !thrown.Empty():
		return Held{}, &NotEmptyError{ID: id, Held: thrown, Removed: true}
	default:
		return thrown, nil
	}
}
