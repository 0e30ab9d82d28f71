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

// Kept are the messages that reached no channel. ReplayKept and PurgeKept report malformed ids as medispatcher.Problems,
// each with the field "ids[…]".
type Kept interface {
	operate.KeptMessages
	CountKept(ctx context.Context, place medispatcher.KeptPlace, q medispatcher.Search, more func(looked int64) bool) (medispatcher.MatchCount, error)
	ReplayMatchingKept(ctx context.Context, place medispatcher.KeptPlace, q medispatcher.Search, more func(looked int64) bool) (medispatcher.KeptDone, error)
	PurgeMatchingKept(ctx context.Context, place medispatcher.KeptPlace, q medispatcher.Search, more func(looked int64) bool) (medispatcher.MatchDone, error)
	ReplayKept(ctx context.Context, place medispatcher.KeptPlace, ids []string) (medispatcher.KeptDone, error)
	ReplayAllKept(ctx context.Context, place medispatcher.KeptPlace, more func(done, all int64) bool) (medispatcher.KeptDone, error)
	PurgeKept(ctx context.Context, place medispatcher.KeptPlace, ids []string) (int, error)
	PurgeAllKept(ctx context.Context, place medispatcher.KeptPlace, more func(done, all int64) bool) (done, left int64, err error)
}

type keptInput struct {
	Matching
	Order string `query:"order" doc:"Which are listed first" enum:"oldest,newest" default:"oldest"`
	Limit int    `query:"limit" doc:"Most messages in the answer" default:"50" minimum:"1" maximum:"200"`
}

type keptOneInput struct {
	Message string `path:"message" doc:"Its id in this list" example:"0-1767225600000-0"`
}

type keptPage struct {
	Messages []operate.Kept `json:"messages"`
	Searched int64          `json:"searched,omitempty" doc:"With q: how many it looked at for this page"`
	Next     string         `json:"next,omitempty" doc:"Pass it as ?after= for the next page; absent on the last page"`
}

type keptPageOutput struct{ Body keptPage }

type keptOutput struct{ Body operate.Kept }

// keptDocs is what the document says of each place.
var keptDocs = map[medispatcher.KeptPlace]struct {
	what, where, describe, replay string
	example                       medispatcher.Kept
}{
	medispatcher.PlaceUnrouted: {
		what: "unrouted messages", where: "No subscription wanted their topics when they arrived.",
		replay: "They go through the fan-out again and keep their ids and times. unwanted is how many of them no subscription wants now: they come back.",
		example: medispatcher.Kept{
			ID: "0-1767225600000-0", At: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), Bytes: 87,
			Message: medispatcher.Message{
				ID: "order-42-created", Topic: "order.craeted", Body: []byte(`{"order":42}`), Type: medispatcher.DefaultType,
				Time: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC),
			},
		},
	},
	medispatcher.PlaceQuarantine: {
		what: "quarantined entries", where: "They could not be decoded, or a channel could not take its copy; reason says which.",
		replay: "They are decoded again and keep their ids and times; a copy for one subscription goes only to its channel. " +
			"What would come back at once stays and is listed in refusals. unwanted is how many no subscription wants now: they become unrouted.",
		example: medispatcher.Kept{
			ID: "0-1767225600000-0", At: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), Bytes: 112,
			Reason: "DECODERR topic: is missing: give a dotted name such as order.created", Source: "1767225599998-0",
			Message: medispatcher.Message{ID: "0-1767225599998-0"},
			Fields:  map[string]string{"tropic": "order.created", "body": `{"order":42}`},
		},
	},
}

func (a *api) keptRoutes() {
	for _, place := range medispatcher.KeptPlaces {
		a.keptRoutesOf(place)
		a.keptChangeRoutes(place)
	}
}

func (a *api) keptRoutesOf(place medispatcher.KeptPlace) {
	path, doc := Prefix+"/"+string(place), keptDocs[place]
	errs := []int{http.StatusUnprocessableEntity, http.StatusServiceUnavailable}
	route(a, access.Reader, huma.Operation{
		OperationID: "list-" + string(place), Method: http.MethodGet, Path: path,
		Summary: "List " + doc.what, Tags: []string{tagKept},
		Description: doc.where + " Listed without their bodies, in the order of arrival, over all partitions.",
		Errors:      errs, Responses: ok("200", "Messages; next is absent on the last page", keptPage{Messages: []operate.Kept{operate.ListKept(doc.example)}, Next: doc.example.ID}),
	}, nil, func(ctx context.Context, in *keptInput) (*keptPageOutput, error) { return a.listKept(ctx, place, in) })
	route(a, access.Reader, countOperation("count-"+string(place), path, doc.what, tagKept, errs), nil, func(ctx context.Context, in *matchCountInput) (*matchCountOutput, error) {
		q := in.search(ctx)
		q.Until = in.Until.Until
		return countOutput(a.Kept.CountKept(ctx, place, q, within(changeFor)))
	})
	route(a, access.Reader, huma.Operation{
		OperationID: "get-" + string(place), Method: http.MethodGet, Path: path + "/{message}",
		Summary: "Show one of the " + doc.what, Tags: []string{tagKept}, Description: "The role reader gets no body, and no raw fields.",
		Errors: append([]int{http.StatusNotFound}, errs...), Responses: ok("200", "The message, whole", operate.ShowKept(doc.example)),
	}, nil, func(ctx context.Context, in *keptOneInput) (*keptOutput, error) {
		return a.getKept(ctx, place, in.Message)
	})
}

func (a *api) listKept(ctx context.Context, place medispatcher.KeptPlace, in *keptInput) (*keptPageOutput, error) {
	q := in.search(ctx)
	q.Newest = in.Order == "newest"
	found, err := a.Kept.SearchKept(ctx, place, q, in.Limit, within(changeFor))
	if err != nil {
		return nil, badID(err, "after")
	}
	page := keptPage{Messages: []operate.Kept{}, Next: found.Next}
	for _, k := range found.Messages {
		if !seesBodies(ctx) {
			k = operate.Discreet(k)
		}
		page.Messages = append(page.Messages, operate.ListKept(k))
	}
	if !in.match.All() {
		page.Searched = found.Looked
	}
	return &keptPageOutput{page}, nil
}

func (a *api) getKept(ctx context.Context, place medispatcher.KeptPlace, id string) (*keptOutput, error) {
	k, err := a.Kept.ReadKept(ctx, place, id)
	if err != nil {
		return nil, gone(err, "message", "or made room for newer ones", "/"+string(place))
	}
	if !seesBodies(ctx) {
		return &keptOutput{operate.ShowKept(operate.Discreet(k)).WithoutBody()}, nil
	}
	return &keptOutput{operate.ShowKept(k)}, nil
}
