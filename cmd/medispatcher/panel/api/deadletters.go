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

const (
	// deadChunk is how many dead letters are read at once.
	deadChunk = 10
	// deadPageBytes ends a page early: each letter may be as large as a message.
	deadPageBytes = 4 << 20
)

// DeadLetters are the messages whose attempts are exhausted. Replay and PurgeDead report malformed ids as
// medispatcher.Problems, each with the field "ids[…]".
type DeadLetters interface {
	operate.DeadLetters
	Replay(ctx context.Context, id string, letters []string) (int, error)
	ReplayAll(ctx context.Context, id string, more func(done, all int64) bool) (done, left int64, err error)
	PurgeDead(ctx context.Context, id string, letters []string) (int, error)
	PurgeAllDead(ctx context.Context, id string, more func(done, all int64) bool) (done, left int64, err error)
}

type deadInput struct {
	ID    string `path:"id" doc:"The subscription's id" example:"billing"`
	After string `query:"after" doc:"Only letters after this one: the next of the previous page"`
	Limit int    `query:"limit" doc:"Most letters in the answer; it holds fewer when they are large" default:"50" minimum:"1" maximum:"200"`
}

type letterInput struct {
	ID     string `path:"id" doc:"The subscription's id" example:"billing"`
	Letter string `path:"letter" doc:"The dead letter's id" example:"0-1767225600000-0"`
}

type letterPage struct {
	Letters []operate.Letter `json:"dead_letters"`
	Next    string           `json:"next,omitempty"`
}

type letterPageOutput struct{ Body letterPage }

type letterOutput struct{ Body operate.Letter }

func (a *api) deadRoutes() {
	const path = Prefix + "/subscriptions/{id}/dead"
	errs := []int{http.StatusNotFound, http.StatusUnprocessableEntity, http.StatusServiceUnavailable}
	route(a, access.Reader, huma.Operation{
		OperationID: "list-dead-letters", Method: http.MethodGet, Path: path,
		Summary: "List dead letters", Tags: []string{tagDead},
		Description: "Oldest first, partition by partition. The message's body is a string, or body_base64 when it is not UTF-8; the role reader gets none.",
		Errors:      errs, Responses: ok("200", "Dead letters; next is absent on the last page",
			letterPage{[]operate.Letter{exampleLetter}, exampleLetter.ID}),
	}, nil, a.listDead)
	route(a, access.Reader, huma.Operation{
		OperationID: "get-dead-letter", Method: http.MethodGet, Path: path + "/{letter}",
		Summary: "Show a dead letter", Tags: []string{tagDead}, Description: "The role reader gets no body.",
		Errors: errs, Responses: ok("200", "The message, whole, and how it failed", exampleLetter),
	}, nil, a.getDead)
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
	page := letterPage{Letters: []operate.Letter{}}
	after, size := in.After, 0
	for {
		// Whether there is a next page is known from one more letter than fits.
		letters, err := a.Store.DeadLetters(ctx, in.ID, after, min(deadChunk, in.Limit+1-len(page.Letters)))
		if err != nil {
			return nil, badID(err, "after")
		}
		for _, l := range letters {
			if n := len(page.Letters); n == in.Limit || n > 0 && size+len(l.Message.Body) > deadPageBytes {
				page.Next = page.Letters[n-1].ID
				return &letterPageOutput{page}, nil
			}
			size += len(l.Message.Body)
			page.Letters = append(page.Letters, letterFor(ctx, l))
			after = l.ID
		}
		if len(letters) == 0 {
			return &letterPageOutput{page}, nil
		}
	}
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
