package api

import (
	"context"
	"fmt"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/cmd/internal/access"
	"github.com/solate/medispatcher/cmd/medispatcher/panel/problem"
)

type storyInput struct {
	ID string `path:"id" doc:"The id that publishing returned, or that webhook-id carried" example:"0-1767225600000-0"`
}

type storyOutput struct{ Body medispatcher.Story }

func (a *api) storyRoutes() {
	route(a, access.Reader, huma.Operation{
		OperationID: "get-message", Method: http.MethodGet, Path: Prefix + "/messages/{id}",
		Summary: "Where a message is, and what happened to it", Tags: []string{tagMessages},
		Description: "A settled message is gone from Redis: what is known of it is what MEDIS_HISTORY keeps. " +
			"404 when nothing is known of the message.",
		Errors: []int{http.StatusNotFound, http.StatusServiceUnavailable},
		Responses: ok("200", "Where it is in Redis, and what happened to it", map[string]any{
			"id": "0-1767225600000-0", "topic": "order.created", "searched": true,
			"places": []any{map[string]any{"state": medispatcher.Buried, "subscription": "billing", "partition": 0, "entry": "1767225600003-0",
				"attempt": 3, "due": "2026-01-01T00:01:30Z", "failure": map[string]any{"attempts": 2, "first_error": "status 500", "last_error": "status 503",
					"first_at": "2026-01-01T00:00:00Z", "last_at": "2026-01-01T00:00:50Z", "target": "http://billing/hook"}}},
			"events": []any{map[string]any{"time": "2026-01-01T00:00:00Z", "what": "copied", "subscriptions": []any{"billing"}}},
		}),
	}, nil, a.story)
}

func (a *api) story(ctx context.Context, in *storyInput) (*storyOutput, error) {
	subs, _, err := a.Registry.Subscriptions(ctx)
	if err != nil {
		return nil, failed(err)
	}
	story, err := a.Store.Story(ctx, in.ID, subs.IDs())
	if err != nil {
		return nil, failed(err)
	}
	if len(story.Places)+len(story.Events) == 0 {
		return nil, problem.New(http.StatusNotFound, fmt.Sprintf("nothing is known of message %q: %s", in.ID, story.NotFound()))
	}
	return &storyOutput{story}, nil
}
