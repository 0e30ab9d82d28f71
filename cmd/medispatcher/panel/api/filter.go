package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/cmd/internal/access"
	"github.com/solate/medispatcher/cmd/medispatcher/operate"
)

type filterInput struct{ request }

// filterTrial is an expression, and a message to try it on.
type filterTrial struct {
	Filter  string            `json:"filter"`
	Topic   string            `json:"topic"`
	Sender  string            `json:"sender"`
	Key     string            `json:"key"`
	Type    string            `json:"type"`
	Headers map[string]string `json:"headers"`
	Body    string            `json:"body"`
}

type filterOutput struct{ Body operate.Tried }

func (a *api) filterRoutes() {
	text := func(help string) *huma.Schema { return &huma.Schema{Type: huma.TypeString, Description: help} }
	route(a, access.Operator, huma.Operation{
		OperationID: "try-filter", Method: http.MethodPost, Path: Prefix + "/filter",
		Summary: "Try a filter on a message", Tags: []string{tagSubscriptions}, MaxBodyBytes: 2*a.MaxBody + maxDocument,
		Description: "Nothing is published or stored. A wrong expression is 422, with the place marked.",
		Errors:      []int{http.StatusBadRequest, http.StatusRequestTimeout, http.StatusRequestEntityTooLarge},
		Responses:   ok("200", "What the filter makes of the message", operate.Tried{Matches: true}),
	}, &huma.RequestBody{Required: true, Content: map[string]*huma.MediaType{"application/json": {
		Schema: &huma.Schema{Type: huma.TypeObject, AdditionalProperties: false, Required: []string{"filter"}, Properties: map[string]*huma.Schema{
			"filter": text("The expression"), "topic": text("Of the message"), "sender": text("Of the message"), "key": text("Of the message"),
			"type": text("Of the body; application/json when absent"), "body": text("The bytes of the body"),
			"headers": {Type: huma.TypeObject, AdditionalProperties: text("")},
		}},
		Example: filterTrial{Filter: "body.total > 100", Topic: "order.created", Body: `{"total":150}`},
	}}}, a.tryFilter)
}

func (a *api) tryFilter(_ context.Context, in *filterInput) (*filterOutput, error) {
	raw, err := in.document()
	if err != nil {
		return nil, err
	}
	t := filterTrial{Type: medispatcher.DefaultType}
	if err := decode(raw, &t, `{"filter":"body.total > 100","body":"{\"total\":150}"}`); err != nil {
		return nil, err
	}
	tried, err := operate.TryFilter(a.Rules, t.Filter, &medispatcher.Message{
		Topic: t.Topic, Sender: t.Sender, Key: t.Key, Type: t.Type, Headers: t.Headers, Body: []byte(t.Body),
	})
	if err != nil {
		return nil, failed(err)
	}
	return &filterOutput{tried}, nil
}
