package api

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/cmd/internal/access"
	"github.com/solate/medispatcher/cmd/medispatcher/operate"
)

// DeadLetters are the messages whose attempts are exhausted. Replay and PurgeDead report malformed ids as
// medispatcher.Problems, each with the field "ids[…]".
type DeadLetters interface {
	operate.DeadLetters
	CountDead(ctx context.Context, id string, q medispatcher.Search, more func(looked int64) bool) (medispatcher.MatchCount, error)
	ReplayMatching(ctx context.Context, id string, q medispatcher.Search, more func(looked int64) bool) (medispatcher.MatchDone, error)
	PurgeMatching(ctx context.Context, id string, q medispatcher.Search, more func(looked int64) bool) (medispatcher.MatchDone, error)
	Replay(ctx context.Context, id string, letters []string) (int, error)
	ReplayAll(ctx context.Context, id string, more func(done, all int64) bool) (done, left int64, err error)
	PurgeDead(ctx context.Context, id string, letters []string) (int, error)
	PurgeAllDead(ctx context.Context, id string, more func(done, all int64) bool) (done, left int64, err error)
}

type deadInput struct {
	ID string `path:"id" doc:"The subscription's id" example:"billing"`
	Matching
	Order string `query:"order" doc:"Which are listed first" enum:"oldest,newest" default:"oldest"`
	Limit int    `query:"limit" doc:"Most letters in the answer; it holds fewer when they are large" default:"50" minimum:"1" maximum:"200"`
}

type letterInput struct {
	ID     string `path:"id" doc:"The subscription's id" example:"billing"`
	Letter string `path:"letter" doc:"The dead letter's id" example:"0-1767225600000-0"`
}

type letterPage struct {
	Letters  []operate.Letter `json:"dead_letters"`
	Searched int64            `json:"searched,omitempty" doc:"With q: how many it looked at for this page"`
	Next     string           `json:"next,omitempty" doc:"Pass it as ?after= for the next page; absent on the last page"`
}

type deadCountInput struct {
	ID string `path:"id" doc:"The subscription's id" example:"billing"`
	Matching
	Until
}

type letterPageOutput struct{ Body letterPage }

type letterOutput struct{ Body operate.Letter }

func (a *api) deadRoutes() {
	const path = Prefix + "/subscriptions/{id}/dead"
	errs := []int{http.StatusNotFound, http.StatusUnprocessableEntity, http.StatusServiceUnavailable}
	route(a, access.Reader, huma.Operation{
		OperationID: "list-dead-letters", Method: http.MethodGet, Path: path,
		Summary: "List dead letters", Tags: []string{tagDead},
		Description: "In the order of time, over all partitions. The message's body is a string, or body_base64 when it is not UTF-8; the role reader gets none. " +
			"A search looks at letters for a limited time: a page with next may hold none.",
		Errors: errs, Responses: ok("200", "Dead letters; next is absent on the last page",
			letterPage{Letters: []operate.Letter{exampleLetter}, Next: exampleLetter.ID}),
	}, nil, a.listDead)
	route(a, access.Reader, huma.Operation{
		OperationID: "get-dead-letter", Method: http.MethodGet, Path: path + "/{letter}",
		Summary: "Show a dead letter", Tags: []string{tagDead}, Description: "The role reader gets no body.",
		Errors: errs, Responses: ok("200", "The message, whole, and how it failed", exampleLetter),
	}, nil, a.getDead)
	route(a, access.Reader, countOperation("count-dead-letters", path, "dead letters", tagDead, errs), nil, a.countDead)
	a.deadChangeRoutes(path)
}

// exampleLetter is what the OpenAPI document shows.
var exampleLetter = operate.Show(medispatcher.DeadLetter{
	ID: "0-1767225600000-0", Died: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC),
	Message: medispatcher.Message{
		ID: "order-42-created", Topic: "order.created", Body: []byte(`{"order":42}`), Type: medispatcher.DefaultType,
		Time: time.Date(2025, 12, 31, 23, 0, 0, 0, time.UTC),
	},
	Failure: &medispatcher.Failure{
		Attempts: 11, FirstError: "status 500", LastError: "status 503: overloaded", Target: "http://billing.internal/hook",
		FirstAt: time.Date(2025, 12, 31, 23, 0, 0, 0, time.UTC), LastAt: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC),
	},
})

func (a *api) listDead(ctx context.Context, in *deadInput) (*letterPageOutput, error) {
	if err := a.known(ctx, in.ID); err != nil {
		return nil, err
	}
	q := in.search(ctx)
	q.Newest = in.Order == "newest"
	found, err := a.Store.SearchDead(ctx, in.ID, q, in.Limit, within(changeFor))
	if err != nil {
		return nil, badID(err, "after")
	}
	page := letterPage{Letters: []operate.Letter{}, Next: found.Next}
	for _, l := range found.Letters {
		page.Letters = append(page.Letters, letterFor(ctx, l))
	}
	if !in.match.All() {
		page.Searched = found.Looked
	}
	return &letterPageOutput{page}, nil
}

func (a *api) countDead(ctx context.Context, in *deadCountInput) (*matchCountOutput, error) {
	if err := a.known(ctx, in.ID); err != nil {
		return nil, err
	}
	q := in.search(ctx)
	q.Until = in.Until.Until
	return countOutput(a.Store.CountDead(ctx, in.ID, q, within(changeFor)))
}

func (a *api) getDead(ctx context.Context, in *letterInput) (*letterOutput, error) {
	if err := a.known(ctx, in.ID); err != nil {
		return nil, err
	}
	l, err := a.Store.DeadLetter(ctx, in.ID, in.Letter)
	if err != nil {
		return nil, gone(err, "letter", "or was never there", "/subscriptions/"+in.ID+"/dead")
	}
	return &letterOutput{letterFor(ctx, l)}, nil
}

// letterFor is a dead letter as the visitor may see it.
func letterFor(ctx context.Context, l medispatcher.DeadLetter) operate.Letter {
	shown := operate.Show(l)
	if seesBodies(ctx) {
		return shown
	}
	return shown.WithoutBody()
}
