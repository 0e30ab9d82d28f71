package api

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/cmd/internal/access"
)

type deliveriesInput struct {
	ID      string `path:"id" doc:"The subscription's id" example:"billing"`
	Outcome string `query:"outcome" doc:"Only attempts with this outcome" enum:"sent,failed,dead,dropped"`
	Status  string `query:"status" doc:"Only attempts with this status of the answer: 503, 5xx, or none" example:"5xx"`
	Text    string `query:"text" doc:"Only attempts in which this stands, in any case: in the message's id, topic, target, error, answer or dispatcher"`
	After   string `query:"after" doc:"Only attempts after this one: the next of the previous page"`
	Limit   int    `query:"limit" doc:"Most attempts in the answer" default:"50" minimum:"1" maximum:"200"`
}

type deliveryPage struct {
	Deliveries []medispatcher.Attempt `json:"deliveries" doc:"Latest first"`
	Next       string                 `json:"next,omitempty" doc:"Pass it as ?after= for the next page; absent on the last page"`
}

type deliveryPageOutput struct{ Body deliveryPage }

func (a *api) deliveryRoutes() {
	route(a, access.Reader, huma.Operation{
		OperationID: "list-deliveries", Method: http.MethodGet, Path: Prefix + "/subscriptions/{id}/deliveries",
		Summary: "The latest attempts of a subscription", Tags: []string{tagSubscriptions},
		Description: "Latest first, over all dispatchers. It is a sample: each dispatcher lists, about once a second, up to 20 attempts that failed, 3 that " +
			"succeeded, and the latest. unlisted counts those left out. The last 200 are kept, fewer with more than 500 subscriptions, for a day.",
		Errors: []int{http.StatusNotFound, http.StatusUnprocessableEntity, http.StatusServiceUnavailable},
		Responses: ok("200", "Attempts; next is absent on the last page", deliveryPage{Deliveries: []medispatcher.Attempt{{
			ID: "1767225600000-9f3a7c01-42", Time: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), Message: "order-42-created", Topic: "order.created",
			Entry: "1767225599998-0", Attempt: 1, Outcome: medispatcher.Failed.String(), Target: "http://billing.internal/hook", Status: 503, TookMS: 12.4,
			Error: "status 503: overloaded", Answer: "overloaded", Dispatcher: "web1-7-9f3a7c01",
		}}}),
	}, nil, a.deliveries)
}

func (a *api) deliveries(ctx context.Context, in *deliveriesInput) (*deliveryPageOutput, error) {
	q := medispatcher.AttemptQuery{Outcome: in.Outcome, Status: in.Status, Text: in.Text, After: in.After, Limit: in.Limit}
	if err := q.Check(); err != nil {
		return nil, failed(err)
	}
	if err := a.known(ctx, in.ID); err != nil {
		return nil, err
	}
	list, err := a.Store.Attempts(ctx, in.ID)
	if err != nil {
		return nil, failed(err)
	}
	var page deliveryPage
	page.Deliveries, page.Next = q.Page(list)
	return &deliveryPageOutput{page}, nil
}
