package api

import (
	"context"
	"errors"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/cmd/internal/access"
	"github.com/solate/medispatcher/cmd/medispatcher/operate"
	"github.com/solate/medispatcher/cmd/medispatcher/panel/problem"
)

type trialInput struct {
	request
	ID          string `path:"id" doc:"The subscription's id" example:"billing"`
	Topic       string `query:"topic" doc:"One that the subscription wants. Without, its own, with test for * and >" example:"order.created"`
	ContentType string `header:"Content-Type" hidden:"true"` // OpenAPI shows it with the body
	Sender      string `header:"medis-sender" doc:"Of the message; medispatcher when absent" example:"shop"`
	Key         string `header:"medis-key" doc:"Of the message" example:"customer-7"`
	Traceparent string `header:"traceparent" doc:"Forwarded. So is every medis-header-NAME header, as NAME." example:"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"`
}

type trialOutput struct{ Body medispatcher.Trial }

func (a *api) trialRoute() {
	route(a, access.Operator, huma.Operation{
		OperationID: "test-subscription", Method: http.MethodPost, Path: Prefix + "/subscriptions/{id}/test",
		Summary: "Push a test message to a subscription alone", Tags: []string{tagSubscriptions},
		Description: "One attempt by this dispatcher, as it makes them, on a new connection, to the first worker URL: the whole request and the answer. " +
			"The header medis-test is 1, and webhook-id begins with test-. It counts nowhere and is not repeated. A paused subscription or an open breaker does " +
			"not hold it back. It has the subscription's timeout, a minute at most. A subscription with batches gets a batch of one message.",
		MaxBodyBytes: a.MaxBody,
		Errors: []int{
			http.StatusBadRequest, http.StatusNotFound, http.StatusRequestTimeout, http.StatusConflict, http.StatusRequestEntityTooLarge, http.StatusUnprocessableEntity, http.StatusServiceUnavailable,
		},
		Responses: ok("200", "What went out and what came back; accepted says whether it was taken", medispatcher.Trial{
			Request: medispatcher.Request{URL: "http://billing.internal/hook", Headers: []medispatcher.HeaderField{{Name: "Medis-Test", Value: "1"}}},
			Body:    operate.TrialBody, BodyBytes: len(operate.TrialBody), Status: http.StatusServiceUnavailable, TookMS: 12.4, Answer: "overloaded", Problem: "status 503: overloaded",
			Headers: []medispatcher.HeaderField{{Name: "Content-Type", Value: "text/plain"}},
		}),
	}, &huma.RequestBody{
		Description: "The body of the message; without, " + operate.TrialBody,
		Content:     map[string]*huma.MediaType{"application/json": {Example: map[string]any{"order": 42}}, "*/*": {}},
	}, a.trial)
}

func (a *api) trial(ctx context.Context, in *trialInput) (*trialOutput, error) {
	body, err := in.read("the limit that MEDIS_MAX_BODY sets")
	if err != nil {
		return nil, err
	}
	sub, _, err := a.Registry.Get(ctx, in.ID)
	if err != nil {
		return nil, failed(err)
	}
	m := medispatcher.Message{Topic: in.Topic, Type: in.ContentType, Sender: in.Sender, Key: in.Key, Body: body}
	if m.Headers, err = forwarded(in.header); err != nil {
		return nil, problem.Invalid(medispatcher.Problems{{Field: "headers", Problem: err.Error()}})
	}
	if m, err = operate.TrialMessage(&sub, m); err != nil {
		return nil, failed(err)
	}
	// The subscription may have more time than a request to the API, and the message goes out even if nobody waits for the answer any more.
	t, err := a.Pusher.Try(context.WithoutCancel(ctx), &sub, m)
	switch {
	case errors.Is(err, medispatcher.ErrConflict):
		return nil, failed(err)
	case err != nil:
		return nil, problem.Invalid(medispatcher.Problems{{Field: "urls", Problem: err.Error()}})
	}
	t.Filtered = operate.Filtered(a.Rules, &sub, &m)
	a.Log.Info("a test message was pushed", "subscription", sub.ID, "by", medispatcher.Actor(ctx), "accepted", t.Accepted, "status", t.Status)
	return &trialOutput{t}, nil
}
