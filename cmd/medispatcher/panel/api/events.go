package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"

	"github.com/danielgtaylor/huma/v2"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/cmd/internal/access"
	"github.com/solate/medispatcher/cmd/medispatcher/cloudevents"
	"github.com/solate/medispatcher/cmd/medispatcher/operate"
	"github.com/solate/medispatcher/cmd/medispatcher/panel/problem"
)

type eventsInput struct {
	request
	Topic       string `query:"topic" doc:"The topic of all events of the request, where their types are none or another one is wanted. Subscribers still get the types." example:"github.pull_request"`
	Delay       string `query:"delay" doc:"Route them after this time: a Go duration such as 1m30s, or milliseconds" example:"1m30s"`
	SpecVersion string `header:"ce-specversion" doc:"In binary mode: 1.0" example:"1.0"`
	ID          string `header:"ce-id" doc:"In binary mode: an event with the same source and id within MEDIS_DEDUPE_WINDOW is not delivered again" example:"order-42-created"`
	Source      string `header:"ce-source" doc:"In binary mode: who publishes it, a URI-reference; becomes the sender" example:"/shop"`
	EventType   string `header:"ce-type" doc:"In binary mode: becomes the topic" example:"order.created"`
	Subject     string `header:"ce-subject" doc:"In binary mode: becomes the key" example:"customer-7"`
	Time        string `header:"ce-time" doc:"In binary mode: when it happened. Every other ce-NAME header is an extension attribute." example:"2026-01-02T15:04:05Z"`
	Traceparent string `header:"traceparent" doc:"Forwarded" example:"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"`
	Tracestate  string `header:"tracestate" doc:"Forwarded"`
}

type publishedEvents struct {
	IDs      []string `json:"ids" doc:"The messages' ids, from which webhook-id is made, in the order of the events" example:"order-42-created-mfzxk3tbnrqwy2lo"`
	Warnings []string `json:"warnings,omitempty" doc:"Topics that no subscription wants now. Their messages are still accepted, and kept among the unrouted ones." example:"no subscription wants the topic order.craeted now; did you mean order.created?"`
}

type publishedEventsOutput struct{ Body publishedEvents }

func (a *api) eventRoutes() {
	event := map[string]any{"specversion": "1.0", "id": "order-42-created", "source": "/shop", "type": "order.created", "subject": "customer-7", "data": map[string]any{"order": 42}}
	object := &huma.Schema{Type: huma.TypeObject, AdditionalProperties: true}
	limit := cloudevents.MaxRequest(a.MaxBody)
	route(a, access.Publisher, huma.Operation{
		OperationID: "publish-events", Method: http.MethodPost, Path: Prefix + "/events",
		Summary: "Publish CloudEvents", Tags: []string{tagMessages},
		Description: "One CloudEvent 1.0 in binary or structured mode, or a batch of them. The type is the topic, the source the sender, the subject the key, " +
			"and the bytes of the data are the body. Every other attribute is kept, too. If an event of a batch is wrong, none is published, and errors names its index and attribute. " +
			"202 means that Redis has all of them. After a 503 repeat the request: an event of the same source and id is not delivered twice.",
		DefaultStatus: http.StatusAccepted, MaxBodyBytes: limit,
		Errors:    []int{http.StatusBadRequest, http.StatusRequestTimeout, http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType, http.StatusServiceUnavailable},
		Responses: ok("202", "Accepted", publishedEvents{IDs: []string{"order-42-created-mfzxk3tbnrqwy2lo"}}),
	}, &huma.RequestBody{
		Description: fmt.Sprintf("The data of an event has at most %d bytes (MEDIS_MAX_BODY), and the body %d; a batch has at most %d events. "+
			"In binary mode the body is the data, and the Content-Type its type.", a.MaxBody, limit, cloudevents.MaxBatch),
		Content: map[string]*huma.MediaType{
			cloudevents.Structured: {Schema: object, Example: event},
			cloudevents.Batched:    {Schema: &huma.Schema{Type: huma.TypeArray, Items: object}, Example: []any{event}},
			"*/*":                  {},
		},
	}, a.publishEvents)
}

func (a *api) publishEvents(ctx context.Context, in *eventsInput) (*publishedEventsOutput, error) {
	body, err := in.plain("the limit of a request with events; send fewer of them, or in binary mode")
	if err != nil {
		return nil, err
	}
	delay, err := medispatcher.ParseDelay(in.Delay)
	if err != nil {
		return nil, problem.Invalid(medispatcher.Problems{{Field: "delay", Problem: err.Error()}})
	}
	traced, err := forwarded(traceOf(in.header))
	if err != nil {
		return nil, problem.Invalid(medispatcher.Problems{{Field: "headers", Problem: err.Error()}})
	}
	messages, err := cloudevents.Reader{MaxBody: a.MaxBody, Topic: in.Topic, Headers: traced}.Request(in.header, body)
	var unsupported cloudevents.UnsupportedError
	switch {
	case errors.As(err, &unsupported):
		return nil, problem.New(http.StatusUnsupportedMediaType, err.Error())
	case errors.Is(err, medispatcher.ErrTooLarge):
		return nil, problem.New(http.StatusRequestEntityTooLarge, err.Error())
	case err != nil:
		return nil, failed(err)
	}
	out := &publishedEventsOutput{publishedEvents{IDs: []string{}}}
	if len(messages) == 0 {
		return out, nil
	}
	for i := range messages {
		messages[i].Delay = delay
	}
	if out.Body.IDs, err = a.Store.PublishAll(ctx, messages); err != nil {
		return nil, unavailable(fmt.Sprintf("%d of %d events are known to be accepted", accepted(out.Body.IDs), len(messages)), err)
	}
	router := a.Router()
	for i := range messages {
		if text := operate.Unwanted(router, messages[i].Topic); text != "" && !slices.Contains(out.Body.Warnings, text) {
			out.Body.Warnings = append(out.Body.Warnings, text)
		}
	}
	return out, nil
}

// traceOf are the headers of a request that tracers set.
func traceOf(header http.Header) http.Header {
	traced := http.Header{}
	for _, name := range []string{"Traceparent", "Tracestate"} {
		if v := header[name]; len(v) > 0 {
			traced[name] = v
		}
	}
	return traced
}

func accepted(ids []string) (n int) {
	for _, id := range ids {
		if id != "" {
			n++
		}
	}
	return n
}
