package api

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/solate/medispatcher"
)

type replayKeptInput struct{ request }

type purgeKeptInput struct {
	Messages []string `query:"id,explode" doc:"Only this message; may be repeated. None: all of them."`
}

// Resolve is as that of purgeDeadInput.
func (in *purgeKeptInput) Resolve(ctx huma.Context) []error {
	u := ctx.URL()
	in.Messages = u.Query()["id"]
	return nil
}

// keptReplay is what became of kept messages. Those that came after the request began do not count.
type keptReplay struct {
	Replayed  int64                      `json:"replayed"`
	Unwanted  int64                      `json:"unwanted,omitempty" doc:"Of those replayed: no subscription wants them now"`
	Remaining int64                      `json:"remaining" doc:"Not come to in time"`
	Missing   int64                      `json:"missing,omitempty" doc:"Ids that were not there"`
	Refused   int64                      `json:"refused,omitempty" doc:"Kept still, because they would come back at once"`
	Refusals  []medispatcher.KeptRefusal `json:"refusals,omitempty" doc:"The first of those refused, with the reason and what to do"`
}

type keptReplayOutput struct{ Body keptReplay }

func (a *api) keptChangeRoutes(place medispatcher.KeptPlace) {
	path, doc := Prefix+"/"+string(place), keptDocs[place]
	const remaining = " remaining is how many messages it did not come to in its time: repeat the request until it is 0. " +
		"missing is how many of the ids were not there."
	errs := []int{http.StatusUnprocessableEntity, http.StatusServiceUnavailable}
	replayed := keptReplay{Replayed: 450, Unwanted: 2}
	if place == medispatcher.PlaceQuarantine {
		replayed = keptReplay{Replayed: 3, Refused: 1, Refusals: []medispatcher.KeptRefusal{{
			ID: doc.example.ID, Problem: "it would come back: topic: is missing: give a dotted name such as order.created; publish it as it should be, then purge this",
		}}}
	}
	route(a, huma.Operation{
		OperationID: "replay-" + string(place), Method: http.MethodPost, Path: path + "/replay",
		Summary: "Try " + doc.what + " again", Tags: []string{tagKept}, MaxBodyBytes: maxDocument,
		Description: doc.replay + " Without a body, or without ids, all that there were when the request began." + remaining,
		Errors:      append(slices.Clone(errs), http.StatusBadRequest, http.StatusRequestTimeout, http.StatusRequestEntityTooLarge),
		Responses:   ok("200", "How many", replayed),
	}, idsBody(doc.example.ID), func(ctx context.Context, in *replayKeptInput) (*keptReplayOutput, error) {
		return a.replayKept(ctx, place, in)
	})
	n := int64(450)
	route(a, huma.Operation{
		OperationID: "purge-" + string(place), Method: http.MethodDelete, Path: path,
		Summary: "Throw " + doc.what + " away", Tags: []string{tagKept},
		Description: "For good: those named by ?id=, or all that there were when the request began." + remaining,
		Errors:      errs, Responses: ok("200", "How many", deadChange{Purged: &n}),
	}, nil, func(ctx context.Context, in *purgeKeptInput) (*deadChangeOutput, error) {
		return a.purgeKept(ctx, place, in)
	})
}

// idsBody is {"ids":[…]}, which may be left out.
func idsBody(example string) *huma.RequestBody {
	return &huma.RequestBody{Content: map[string]*huma.MediaType{"application/json": {
		Schema: &huma.Schema{Type: huma.TypeObject, Properties: map[string]*huma.Schema{
			"ids": {Type: huma.TypeArray, Items: &huma.Schema{Type: huma.TypeString}},
		}},
		Example: map[string]any{"ids": []string{example}},
	}}}
}

func (a *api) replayKept(ctx context.Context, place medispatcher.KeptPlace, in *replayKeptInput) (*keptReplayOutput, error) {
	raw, err := in.document()
	if err != nil {
		return nil, err
	}
	ids, err := readIDs(raw, "messages")
	if err != nil {
		return nil, err
	}
	ctx, cancel := detached(ctx)
	defer cancel()
	var done medispatcher.KeptDone
	if len(ids) > 0 {
		done, err = a.Kept.ReplayKept(ctx, place, ids)
	} else {
		until := time.Now().Add(deadFor)
		done, err = a.Kept.ReplayAllKept(ctx, place, func(int64, int64) bool { return time.Now().Before(until) })
	}
	if err != nil {
		return nil, changeFailed(err, "", fmt.Sprintf("%d messages are replayed, not all", done.Replayed))
	}
	a.Log.Info("messages replayed", "place", place, "by", medispatcher.Actor(ctx), "count", done.Replayed, "refused", done.Refused, "remaining", done.Left)
	return &keptReplayOutput{keptReplay{
		Replayed: done.Replayed, Unwanted: done.Unwanted, Remaining: done.Left, Missing: done.Missing, Refused: done.Refused, Refusals: done.Refusals,
	}}, nil
}

func (a *api) purgeKept(ctx context.Context, place medispatcher.KeptPlace, in *purgeKeptInput) (*deadChangeOutput, error) {
	ctx, cancel := detached(ctx)
	defer cancel()
	out, n, err := a.change(ctx, in.Messages, deadSteps{
		done: "purged", what: "messages", parameter: "id",
		some: func(ctx context.Context, ids []string) (int, error) { return a.Kept.PurgeKept(ctx, place, ids) },
		all: func(ctx context.Context, more func(done, all int64) bool) (int64, int64, error) {
			return a.Kept.PurgeAllKept(ctx, place, more)
		},
		note: func(c *deadChange, n int64) { c.Purged = &n },
	})
	if err != nil {
		return nil, err
	}
	a.Log.Info("messages purged", "place", place, "by", medispatcher.Actor(ctx), "count", n, "remaining", out.Body.Remaining)
	return out, nil
}
