package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/cmd/internal/access"
	"github.com/solate/medispatcher/cmd/medispatcher/panel/problem"
)

type listInput struct {
	Topic string `query:"topic" doc:"Only subscriptions that want this topic, or whose pattern is exactly this" example:"order.created"`
	After string `query:"after" doc:"Only ids after this one: the next of the previous page"`
	Limit int    `query:"limit" doc:"Most subscriptions in the answer" default:"1000" minimum:"1" maximum:"1000"`
}

type subscriptionList struct {
	Subscriptions []medispatcher.Subscription `json:"subscriptions" doc:"Sorted by id, secrets masked"`
	Next          string                      `json:"next,omitempty" doc:"Pass it as ?after= for the next page; absent on the last page"`
}

type listOutput struct{ Body subscriptionList }

func (a *api) listRoute(path string) {
	route(a, access.Reader, huma.Operation{
		OperationID: "list-subscriptions", Method: http.MethodGet, Path: path,
		Summary: "List subscriptions", Tags: []string{tagSubscriptions},
		Errors: []int{http.StatusUnprocessableEntity, http.StatusServiceUnavailable},
		Responses: ok("200", "Subscriptions, sorted by id", map[string]any{
			"subscriptions": []any{exampleSubscription}, "next": "billing"}),
	}, nil, a.list)
}

func (a *api) list(ctx context.Context, in *listInput) (*listOutput, error) {
	if in.Topic != "" {
		if err := medispatcher.CheckPattern(in.Topic); err != nil {
			return nil, problem.Invalid(medispatcher.Problems{{Field: "topic", Problem: err.Error()}})
		}
	}
	subs, _, err := a.Registry.Subscriptions(ctx)
	if err != nil {
		return nil, failed(err)
	}
	isTopic := medispatcher.CheckTopic(in.Topic) == nil
	page := subscriptionList{Subscriptions: []medispatcher.Subscription{}}
	for s := range subs.After(in.After) {
		if in.Topic != "" && s.Topic != in.Topic && (!isTopic || !s.Wants(in.Topic)) {
			continue
		}
		if len(page.Subscriptions) == in.Limit {
			page.Next = page.Subscriptions[in.Limit-1].ID
			break
		}
		page.Subscriptions = append(page.Subscriptions, s.Masked())
	}
	return &listOutput{page}, nil
}
