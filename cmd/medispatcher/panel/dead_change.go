package panel

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
	}, &huma.RequestBody{Content: map[string]*huma.MediaType{"application/json": {
		Schema: &huma.Schema{Type: huma.TypeObject, Properties: map[string]*huma.Schema{
			"ids": {Type: huma.TypeArray, Items: &huma.Schema{Type: huma.TypeString}},
		}},
		Example: map[string]any{"ids": []string{exampleLetter.ID}},
	}}}, a.replayDead)
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
	ids, err := readIDs(raw)
	if err != nil {
		return nil, err
	}
	return a.changeDead(ctx, in.ID, ids, deadSteps{
		done: "replayed", some: a.store.Replay, all: a.store.ReplayAll,
		note: func(c *deadChange, n int64) { c.Replayed = &n },
	})
}

func (a *api) purgeDead(ctx context.Context, in *purgeDeadInput) (*deadChangeOutput, error) {
	return a.changeDead(ctx, in.ID, in.Letters, deadSteps{
		done: "purged", some: a.store.PurgeDead, all: a.store.PurgeAllDead, parameter: "id",
		note: func(c *deadChange, n int64) { c.Purged = &n },
	})
}

// readIDs reads {"ids":[…]}, or nothing.
func readIDs(raw []byte) ([]string, error) {
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
		return nil, invalid(medispatcher.Problems{{Field: "ids", Problem: "is empty; name dead letters, or leave ids out to mean all of them"}})
	}
	return body.IDs, nil
}

// deadSteps are the two ways to do one thing to dead letters.
type deadSteps struct {
	done string
	some func(ctx context.Context, id string, letters []string) (int, error)
	all  func(ctx context.Context, id string, more func(done, all int64) bool) (done, left int64, err error)
	note func(c *deadChange, n int64)

	parameter string // that names the letters; else they stand in the body, as "ids"
}

func (a *api) changeDead(ctx context.Context, id string, letters []string, steps deadSteps) (*deadChangeOutput, error) {
	ctx, cancel := detached(ctx)
	defer cancel()
	if err := a.known(ctx, id); err != nil {
		return nil, err
	}
	var out deadChange
	var n int64
	var err error
	if len(letters) > 0 {
		var found int
		found, err = steps.some(ctx, id, letters)
		n = int64(found)
		slices.Sort(letters)
		out.Missing = int64(len(slices.Compact(letters))) - n
	} else {
		until := time.Now().Add(deadFor)
		n, out.Remaining, err = steps.all(ctx, id, func(int64, int64) bool { return time.Now().Before(until) })
	}
	if problems, bad := errors.AsType[medispatcher.Problems](err); bad {
		for i := range problems {
			problems[i].Field = cmp.Or(steps.parameter, problems[i].Field)
		}
		return nil, invalid(problems)
	}
	if err != nil {
		return nil, unavailable(fmt.Sprintf("%d dead letters are %s, not all", n, steps.done), err)
	}
	a.log.Info("dead letters "+steps.done, "subscription", id, "by", medispatcher.Actor(ctx), "count", n, "remaining", out.Remaining)
	steps.note(&out, n)
	return &deadChangeOutput{out}, nil
}
