package api

import (
	"context"
	"net/http"
	"slices"

	"github.com/danielgtaylor/huma/v2"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/cmd/internal/access"
)

type replayInput struct {
	request
	ID string `path:"id" doc:"The subscription's id" example:"billing"`
}

type purgeDeadInput struct {
	ID string `path:"id" doc:"The subscription's id" example:"billing"`
	IDs
	Matching
	Until
}

// deadChange is the answer to a change of dead letters and to a purge of kept messages.
type deadChange struct {
	Replayed  *int64 `json:"replayed,omitempty"`
	Purged    *int64 `json:"purged,omitempty"`
	Remaining int64  `json:"remaining"`         // not reached in time
	Missing   int64  `json:"missing,omitempty"` // ids that were not there
	Next      string `json:"next,omitempty" doc:"Of those that match: repeat the request with it as after; absent when all are done"`
}

type deadChangeOutput struct{ Body deadChange }

func purgeOutput(out outcome) *deadChangeOutput {
	return &deadChangeOutput{deadChange{Purged: &out.done, Remaining: out.left, Missing: out.missing, Next: out.next}}
}

func (a *api) deadChangeRoutes(path string) {
	n := int64(450)
	errs := []int{http.StatusNotFound, http.StatusUnprocessableEntity, http.StatusServiceUnavailable}
	route(a, access.Operator, huma.Operation{
		OperationID: "replay-dead-letters", Method: http.MethodPost, Path: path + "/replay",
		Summary: "Replay dead letters", Tags: []string{tagDead}, MaxBodyBytes: maxDocument,
		Description: "They become READY again: attempt 1, the same webhook-id, the failure record cleared. Without a body, or with an empty " +
			"object, it replays all that existed when the request began." + aboutChange + aboutMatch,
		Errors:    append(slices.Clone(errs), http.StatusBadRequest, http.StatusRequestTimeout, http.StatusRequestEntityTooLarge),
		Responses: ok("200", "How many", deadChange{Replayed: &n}),
	}, idsBody(exampleLetter.ID), a.replayDead)
	route(a, access.Operator, huma.Operation{
		OperationID: "purge-dead-letters", Method: http.MethodDelete, Path: path,
		Summary: "Purge dead letters", Tags: []string{tagDead},
		Description: "Removes for good those named by ?id=, those that hold the text ?q=, or all that existed when the request began." + aboutChange + aboutMatch,
		Errors:      errs, Responses: ok("200", "How many", deadChange{Purged: &n}),
	}, nil, a.purgeDead)
}

func (a *api) replayDead(ctx context.Context, in *replayInput) (*deadChangeOutput, error) {
	ids, q, err := readIDs(&in.request, "dead letters")
	if err != nil {
		return nil, err
	}
	out, err := a.changeDead(ctx, in.ID, change{done: "replayed", ids: ids, search: q}, a.Store.Replay, a.Store.ReplayMatching, a.Store.ReplayAll)
	if err != nil {
		return nil, err
	}
	return &deadChangeOutput{deadChange{Replayed: &out.done, Remaining: out.left, Missing: out.missing, Next: out.next}}, nil
}

func (a *api) purgeDead(ctx context.Context, in *purgeDeadInput) (*deadChangeOutput, error) {
	q, err := purgeSearch(ctx, in.IDs, &in.Matching, in.Until)
	if err != nil {
		return nil, err
	}
	out, err := a.changeDead(ctx, in.ID, change{done: "purged", ids: in.Named, parameter: "id", search: q}, a.Store.PurgeDead, a.Store.PurgeMatching, a.Store.PurgeAllDead)
	if err != nil {
		return nil, err
	}
	return purgeOutput(out), nil
}

func (a *api) changeDead(ctx context.Context, id string, c change,
	some func(ctx context.Context, id string, letters []string) (int, error),
	match func(ctx context.Context, id string, q medispatcher.Search, more func(looked int64) bool) (medispatcher.MatchDone, error),
	all func(ctx context.Context, id string, more func(done, all int64) bool) (done, left int64, err error),
) (outcome, error) {
	ctx, cancel := detached(ctx)
	defer cancel()
	if err := a.known(ctx, id); err != nil {
		return outcome{}, err
	}
	c.what, c.where = "dead letters", []any{"subscription", id}
	c.some = counted(func(ctx context.Context, ids []string) (int, error) { return some(ctx, id, ids) })
	c.match = matching(func(ctx context.Context, q medispatcher.Search, more func(int64) bool) (medispatcher.MatchDone, error) {
		return match(ctx, id, q, more)
	})
	c.all = measured(func(ctx context.Context, more func(done, all int64) bool) (int64, int64, error) {
		return all(ctx, id, more)
	})
	return a.do(ctx, c)
}
