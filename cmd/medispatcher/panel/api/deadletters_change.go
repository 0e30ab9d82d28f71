package api

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/solate/medispatcher"
)

// deadFor is how long one request works on dead letters; what is left then is for the next.
const deadFor = answerTimeout / 2

type replayInput struct {
	request
	ID string `path:"id" doc:"The subscription's id" example:"billing"`
}

type purgeDeadInput struct {
	ID      string   `path:"id" doc:"The subscription's id" example:"billing"`
	Letters []string `query:"id,explode" doc:"Only this letter; may be repeated. None: all of them."`
}

// Resolve is called by huma before the handler. huma takes an empty ?id= for none, and none
// are all of them: a script whose variable is empty would purge everything.
func (in *purgeDeadInput) Resolve(ctx huma.Context) []error {
	u := ctx.URL()
	in.Letters = u.Query()["id"]
	return nil
}

// deadChange is what became of dead letters. Those that died after the request began do not count.
type deadChange struct {
	Replayed  *int64 `json:"replayed,omitempty"`
	Purged    *int64 `json:"purged,omitempty"`
	Remaining int64  `json:"remaining"`         // not come to in time
	Missing   int64  `json:"missing,omitempty"` // ids that were not there
}

type deadChangeOutput struct{ Body deadChange }

func (a *api) deadChangeRoutes(path string) {
	const remaining = " remaining is how many of them it did not come to in its time: repeat the request until it is 0. " +
		"missing is how many of the ids were not there."
	n := int64(450)
	errs := []int{http.StatusNotFound, http.StatusUnprocessableEntity, http.StatusServiceUnavailable}
	replayed := deadChange{Replayed: &n}
	route(a, huma.Operation{
		OperationID: "replay-dead-letters", Method: http.MethodPost, Path: path + "/replay",
		Summary: "Deliver dead letters again", Tags: []string{tagDead}, MaxBodyBytes: maxDocument,
		Description: "READY again: attempt 1, the same webhook-id, the record cleared. Without a body, or without ids, " +
			"all that there were when the request began." + remaining,
		Errors:    append(slices.Clone(errs), http.StatusBadRequest, http.StatusRequestTimeout, http.StatusRequestEntityTooLarge),
		Responses: ok("200", "How many", replayed),
	}, idsBody(exampleLetter.ID), a.replayDead)
	route(a, huma.Operation{
		OperationID: "purge-dead-letters", Method: http.MethodDelete, Path: path,
		Summary: "Throw dead letters away", Tags: []string{tagDead},
		Description: "For good: those named by ?id=, or all that there were when the request began." + remaining,
		Errors:      errs, Responses: ok("200", "How many", deadChange{Purged: &n}),
	}, nil, a.purgeDead)
}

func (a *api) replayDead(ctx context.Context, in *replayInput) (*deadChangeOutput, error) {
	raw, err := in.document()
	if err != nil {
		return nil, err
	}
	ids, err := readIDs(raw, "dead letters")
	if err != nil {
		return nil, err
	}
	steps := deadSteps{done: "replayed", note: func(c *deadChange, n int64) { c.Replayed = &n }}
	return a.changeDead(ctx, in.ID, ids, steps, a.Store.Replay, a.Store.ReplayAll)
}

func (a *api) purgeDead(ctx context.Context, in *purgeDeadInput) (*deadChangeOutput, error) {
	steps := deadSteps{done: "purged", parameter: "id", note: func(c *deadChange, n int64) { c.Purged = &n }}
	return a.changeDead(ctx, in.ID, in.Letters, steps, a.Store.PurgeDead, a.Store.PurgeAllDead)
}

// readIDs reads {"ids":[…]} of what, or nothing.
func readIDs(raw []byte, what string) ([]string, error) {
	if len(bytes.TrimSpace(raw)) == 0 {
		return nil, nil
	}
	var body struct {
		IDs []string `json:"ids"`
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	err := d.Decode(&body)
	if err == nil && d.More() {
		err = errors.New("something follows it")
	}
	if err != nil {
		return nil, invalid(medispatcher.Problems{{Field: "body", Problem: fmt.Sprintf(`is not {"ids":["0-1700000000000-0"]}, nor empty: %v`, err)}})
	}
	if body.IDs != nil && len(body.IDs) == 0 {
		return nil, invalid(medispatcher.Problems{{Field: "ids", Problem: "is empty; name " + what + ", or leave ids out to mean all of them"}})
	}
	return body.IDs, nil
}

// deadSteps are the two ways to do one thing to dead letters, or to kept messages.
type deadSteps struct {
	done, what string
	some       func(ctx context.Context, ids []string) (int, error)
	all        func(ctx context.Context, more func(done, all int64) bool) (done, left int64, err error)
	note       func(c *deadChange, n int64)

	parameter string // that names them; else they stand in the body, as "ids"
}

func (a *api) changeDead(ctx context.Context, id string, letters []string, steps deadSteps,
	some func(ctx context.Context, id string, letters []string) (int, error),
	all func(ctx context.Context, id string, more func(done, all int64) bool) (done, left int64, err error),
) (*deadChangeOutput, error) {
	ctx, cancel := detached(ctx)
	defer cancel()
	if err := a.known(ctx, id); err != nil {
		return nil, err
	}
	steps.what = "dead letters"
	steps.some = func(ctx context.Context, ids []string) (int, error) { return some(ctx, id, ids) }
	steps.all = func(ctx context.Context, more func(done, all int64) bool) (int64, int64, error) {
		return all(ctx, id, more)
	}
	out, n, err := a.change(ctx, letters, steps)
	if err != nil {
		return nil, err
	}
	a.Log.Info("dead letters "+steps.done, "subscription", id, "by", medispatcher.Actor(ctx), "count", n, "remaining", out.Body.Remaining)
	return out, nil
}

// change does it to those named, or to all; n is how many that were.
func (a *api) change(ctx context.Context, ids []string, steps deadSteps) (out *deadChangeOutput, n int64, err error) {
	out = &deadChangeOutput{}
	if len(ids) > 0 {
		var found int
		found, err = steps.some(ctx, ids)
		n = int64(found)
		slices.Sort(ids)
		out.Body.Missing = int64(len(slices.Compact(ids))) - n
	} else {
		until := time.Now().Add(deadFor)
		n, out.Body.Remaining, err = steps.all(ctx, func(int64, int64) bool { return time.Now().Before(until) })
	}
	if err != nil {
		return nil, n, changeFailed(err, steps.parameter, fmt.Sprintf("%d %s are %s, not all", n, steps.what, steps.done))
	}
	steps.note(&out.Body, n)
	return out, n, nil
}

// changeFailed makes the problem document of a change that ended early. parameter, if not empty, is where the request
// named what was to be changed.
func changeFailed(err error, parameter, done string) error {
	problems, bad := errors.AsType[medispatcher.Problems](err)
	if !bad {
		return unavailable(done, err)
	}
	for i := range problems {
		problems[i].Field = cmp.Or(parameter, problems[i].Field)
	}
	return invalid(problems)
}
