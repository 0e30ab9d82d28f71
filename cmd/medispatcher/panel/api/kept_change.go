package api

import (
	"context"
	"net/http"
	"slices"

	"github.com/danielgtaylor/huma/v2"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/cmd/internal/access"
)

type replayKeptInput struct{ request }

type purgeKeptInput struct {
	IDs
	Matching
	Until
}

// keptReplay is the answer to a replay of kept messages.
type keptReplay struct {
	Replayed  int64                      `json:"replayed"`
	Unwanted  int64                      `json:"unwanted,omitempty" doc:"Of those replayed: how many no subscription wants now"`
	Remaining int64                      `json:"remaining" doc:"Not reached in time"`
	Next      string                     `json:"next,omitempty" doc:"Of those that match: repeat the request with it as after; absent when all are done"`
	Missing   int64                      `json:"missing,omitempty" doc:"Ids that were not there"`
	Refused   int64                      `json:"refused,omitempty" doc:"Still kept, because they would come back at once"`
	Refusals  []medispatcher.KeptRefusal `json:"refusals,omitempty" doc:"The first of those refused, each with the reason and what to do"`
}

type keptReplayOutput struct{ Body keptReplay }

func (a *api) keptChangeRoutes(place medispatcher.KeptPlace) {
	path, doc := Prefix+"/"+string(place), keptDocs[place]
	errs := []int{http.StatusUnprocessableEntity, http.StatusServiceUnavailable}
	replayed := keptReplay{Replayed: 450, Unwanted: 2}
	if place == medispatcher.PlaceQuarantine {
		replayed = keptReplay{Replayed: 3, Refused: 1, Refusals: []medispatcher.KeptRefusal{{
			ID: doc.example.ID, Problem: "it would come back: topic: is missing: give a dotted name such as order.created; publish a corrected message, then purge this one",
		}}}
	}
	route(a, access.Operator, huma.Operation{
		OperationID: "replay-" + string(place), Method: http.MethodPost, Path: path + "/replay",
		Summary: "Replay " + doc.what, Tags: []string{tagKept}, MaxBodyBytes: maxDocument,
		Description: doc.replay + " Without a body, or with an empty object, it replays all that existed when the request began." + aboutChange + aboutMatch,
		Errors:      append(slices.Clone(errs), http.StatusBadRequest, http.StatusRequestTimeout, http.StatusRequestEntityTooLarge),
		Responses:   ok("200", "How many", replayed),
	}, idsBody(doc.example.ID), func(ctx context.Context, in *replayKeptInput) (*keptReplayOutput, error) {
		return a.replayKept(ctx, place, in)
	})
	n := int64(450)
	route(a, access.Operator, huma.Operation{
		OperationID: "purge-" + string(place), Method: http.MethodDelete, Path: path,
		Summary: "Purge " + doc.what, Tags: []string{tagKept},
		Description: "Removes for good those named by ?id=, those that hold the text ?q=, or all that existed when the request began." + aboutChange + aboutMatch,
		Errors:      errs, Responses: ok("200", "How many", deadChange{Purged: &n}),
	}, nil, func(ctx context.Context, in *purgeKeptInput) (*deadChangeOutput, error) {
		return a.purgeKept(ctx, place, in)
	})
}

func (a *api) replayKept(ctx context.Context, place medispatcher.KeptPlace, in *replayKeptInput) (*keptReplayOutput, error) {
	ids, q, err := readIDs(&in.request, "messages")
	if err != nil {
		return nil, err
	}
	ctx, cancel := detached(ctx)
	defer cancel()
	var done medispatcher.KeptDone
	took := func(d medispatcher.KeptDone, err error) (outcome, error) {
		done = d
		return outcome{d.Replayed, d.Left, d.Missing, d.Refused, d.Next}, err
	}
	_, err = a.do(ctx, change{
		done: "replayed", what: "messages", where: []any{"place", place}, ids: ids, search: q,
		match: func(ctx context.Context, q medispatcher.Search, more func(int64) bool) (outcome, error) {
			return took(a.Kept.ReplayMatchingKept(ctx, place, q, more))
		},
		some: func(ctx context.Context, ids []string) (outcome, error) {
			return took(a.Kept.ReplayKept(ctx, place, ids))
		},
		all: func(ctx context.Context, more func(done, all int64) bool) (outcome, error) {
			return took(a.Kept.ReplayAllKept(ctx, place, more))
		},
	})
	if err != nil {
		return nil, err
	}
	return &keptReplayOutput{keptReplay{
		Replayed: done.Replayed, Unwanted: done.Unwanted, Remaining: done.Left, Next: done.Next, Missing: done.Missing, Refused: done.Refused, Refusals: done.Refusals,
	}}, nil
}

func (a *api) purgeKept(ctx context.Context, place medispatcher.KeptPlace, in *purgeKeptInput) (*deadChangeOutput, error) {
	q, err := purgeSearch(ctx, in.IDs, &in.Matching, in.Until)
	if err != nil {
		return nil, err
	}
	ctx, cancel := detached(ctx)
	defer cancel()
	out, err := a.do(ctx, change{
		done: "purged", what: "messages", where: []any{"place", place}, ids: in.Named, parameter: "id", search: q,
		match: matching(func(ctx context.Context, q medispatcher.Search, more func(int64) bool) (medispatcher.MatchDone, error) {
			return a.Kept.PurgeMatchingKept(ctx, place, q, more)
		}),
		some: counted(func(ctx context.Context, ids []string) (int, error) { return a.Kept.PurgeKept(ctx, place, ids) }),
		all: measured(func(ctx context.Context, more func(done, all int64) bool) (int64, int64, error) {
			return a.Kept.PurgeAllKept(ctx, place, more)
		}),
	})
	if err != nil {
		return nil, err
	}
	return purgeOutput(out), nil
}
