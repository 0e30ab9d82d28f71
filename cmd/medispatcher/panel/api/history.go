package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/cmd/internal/access"
)

// HistoryPage is exported because huma reads no fields of an embedded type that is not.
type HistoryPage struct {
	Before string `query:"before" doc:"Only changes before this one: the next of the previous page"`
	Limit  int    `query:"limit" doc:"Most changes in the answer" default:"100" minimum:"1" maximum:"1000"`
}

type historyInput struct {
	HistoryPage
	ID string `path:"id" doc:"The subscription's id; also of one that was removed" example:"billing"`
}

type changeList struct {
	Changes []medispatcher.Change `json:"changes" doc:"Latest first, secrets masked"`
	Next    string                `json:"next,omitempty" doc:"Pass it as ?before= for the next page; absent on the last page"`
}

type historyOutput struct{ Body changeList }

func (a *api) historyRoutes() {
	example := ok("200", "Changes, latest first", map[string]any{"changes": []any{map[string]any{
		"id": "1767225600000-0", "time": "2026-01-01T00:00:00Z", "subscription": "billing", "by": "panel ann", "what": medispatcher.Changed,
		"fields": map[string]any{"concurrency": map[string]any{"from": 8, "to": 32}},
	}}})
	route(a, access.Reader, huma.Operation{
		OperationID: "get-subscription-history", Method: http.MethodGet, Path: Prefix + "/subscriptions/{id}/history",
		Summary: "Who changed a subscription, what, and when", Tags: []string{tagSubscriptions},
		Description: "About ten thousand changes are kept, of all subscriptions together.",
		Errors:      []int{http.StatusUnprocessableEntity, http.StatusServiceUnavailable}, Responses: example,
	}, nil, func(ctx context.Context, in *historyInput) (*historyOutput, error) {
		return a.history(ctx, in.ID, in.HistoryPage)
	})
	route(a, access.Reader, huma.Operation{
		OperationID: "get-history", Method: http.MethodGet, Path: Prefix + "/history",
		Summary: "Who changed which subscription", Tags: []string{tagSubscriptions},
		Errors: []int{http.StatusUnprocessableEntity, http.StatusServiceUnavailable}, Responses: example,
	}, nil, func(ctx context.Context, in *HistoryPage) (*historyOutput, error) {
		return a.history(ctx, "", *in)
	})
}

func (a *api) history(ctx context.Context, id string, page HistoryPage) (*historyOutput, error) {
	changes, err := a.Store.Changes(ctx, id, page.Before, page.Limit)
	if err != nil {
		return nil, badID(err, "before")
	}
	list := changeList{Changes: changes}
	if len(changes) == page.Limit {
		list.Next = changes[len(changes)-1].ID
	}
	return &historyOutput{list}, nil
}
