package operate

import (
	"context"
	"fmt"
	"net/url"
	"slices"

	"github.com/solate/medispatcher"
)

// Messages finds messages that are in Redis.
type Messages interface {
	// Story may have to search.
	Story(ctx context.Context, id string, subs []string) (medispatcher.Story, error)
	// ReadAt reads one message whole. The error is ErrNotFound if it is not there, or not there any more.
	ReadAt(ctx context.Context, at medispatcher.Place) (medispatcher.Found, error)
}

// Find reads a message: at the place that ref names or, if that is empty, wherever a search finds it first. With a
// subscription only its copy counts. It reads one body, and a search those in between.
func Find(ctx context.Context, messages Messages, subs []string, id, ref, subscription string) (medispatcher.Found, error) {
	gone := fmt.Errorf("message %q: %w there", id, medispatcher.ErrNotFound)
	if ref != "" {
		at, err := medispatcher.ParseRef(ref)
		if err != nil {
			return medispatcher.Found{}, medispatcher.Problems{err.(medispatcher.FieldError)} //nolint:errorlint,forcetypeassert // it always is
		}
		found, err := messages.ReadAt(ctx, at)
		if m := &found.Message; err == nil && m.ID != "" && m.ID != id && m.WebhookID() != id {
			err = gone
		}
		return found, err
	}
	if subscription != "" {
		subs = []string{subscription}
	}
	story, err := messages.Story(ctx, id, subs)
	if err != nil {
		return medispatcher.Found{}, err
	}
	if subscription != "" {
		story.Places = slices.DeleteFunc(story.Places, func(p medispatcher.Place) bool { return p.Subscription != subscription })
	}
	for _, at := range story.Places {
		found, err := messages.ReadAt(ctx, at)
		if err != nil {
			continue // it has gone on meanwhile
		}
		found.Place = at
		return found, nil
	}
	return medispatcher.Found{}, fmt.Errorf("message %q: %w: %s", id, medispatcher.ErrNotFound, story.NotFound())
}

// BodyPath is where the API has the body of a message at a place, below the prefix of the API.
func BodyPath(id string, at medispatcher.Place) string {
	return "/messages/" + url.PathEscape(id) + "/body?" + url.Values{"at": {at.Ref()}}.Encode()
}
