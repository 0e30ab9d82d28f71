package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"unicode/utf8"

	"github.com/danielgtaylor/huma/v2"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/cmd/internal/access"
	"github.com/solate/medispatcher/cmd/medispatcher/operate"
	"github.com/solate/medispatcher/cmd/medispatcher/panel/problem"
)

// forwardPrefix begins the request headers that become headers of the message.
const forwardPrefix = "Medis-Header-"

type publishInput struct {
	request
	Topic          string `path:"topic" doc:"Levels of A-Z a-z 0-9 _ - joined by dots" example:"order.created"`
	Delay          string `query:"delay" doc:"Route the message after this time: a Go duration such as 1m30s, or milliseconds" example:"1m30s"`
	IdempotencyKey string `header:"Idempotency-Key" doc:"The message's id. A second message with the same id within MEDIS_DEDUPE_WINDOW is not delivered." example:"order-42-created"`
	ContentType    string `header:"Content-Type" hidden:"true"` // OpenAPI shows it with the body
	Sender         string `header:"medis-sender" doc:"Who publishes it; forwarded" example:"shop"`
	Key            string `header:"medis-key" doc:"Chooses the partition. A repeated id must carry the same key." example:"customer-7"`
	Traceparent    string `header:"traceparent" doc:"Forwarded. So is every medis-header-NAME header, as NAME." example:"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"`
	Tracestate     string `header:"tracestate" doc:"Forwarded"`
}

type published struct {
	ID      string `json:"id" doc:"The message's id, from which webhook-id is made" example:"0-1767225600000-0"`
	Warning string `json:"warning,omitempty" doc:"No subscription wants the topic now. The message is still accepted, and kept among the unrouted ones." example:"no subscription wants the topic order.craeted now; did you mean order.created?"`
}

type publishOutput struct{ Body published }

func (a *api) publishRoutes() {
	route(a, access.Publisher, huma.Operation{
		OperationID: "publish-message", Method: http.MethodPost, Path: Prefix + "/topics/{topic}/messages",
		Summary: "Publish a message", Tags: []string{tagMessages},
		Description: "The body's bytes reach every subscription of the topic unchanged. 202 means that Redis has the message. " +
			"After a 503 repeat the request; with an Idempotency-Key it is not delivered twice.",
		DefaultStatus: http.StatusAccepted, MaxBodyBytes: a.MaxBody,
		Errors:    []int{http.StatusBadRequest, http.StatusRequestTimeout, http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType, http.StatusServiceUnavailable},
		Responses: ok("202", "Accepted", published{ID: "order-42-created"}),
	}, &huma.RequestBody{
		Description: fmt.Sprintf("Opaque bytes, at most %d (MEDIS_MAX_BODY). The Content-Type is the message's type, application/json when absent.", a.MaxBody),
		Content: map[string]*huma.MediaType{
			"application/json": {Example: map[string]any{"order": 42}},
			"*/*":              {},
		},
	}, a.publish)
}

func (a *api) publish(ctx context.Context, in *publishInput) (*publishOutput, error) {
	body, err := in.plain("the limit that MEDIS_MAX_BODY sets")
	if err != nil {
		return nil, err
	}
	m := medispatcher.Message{
		ID: in.IdempotencyKey, Topic: in.Topic, Body: body, Sender: in.Sender, Key: in.Key, Type: in.ContentType,
	}
	if m.Type == "" {
		m.Type = medispatcher.DefaultType
	}
	var problems, more medispatcher.Problems
	if m.Headers, err = forwarded(in.header); err != nil {
		problems = append(problems, medispatcher.FieldError{Field: "headers", Problem: err.Error()})
	}
	if m.Delay, err = medispatcher.ParseDelay(in.Delay); err != nil {
		problems = append(problems, medispatcher.FieldError{Field: "delay", Problem: err.Error()})
	}
	if errors.As(m.Check(), &more) {
		problems = append(problems, more...)
	}
	if len(problems) > 0 {
		return nil, problem.Invalid(sayWhere(problems))
	}
	id, err := a.Store.Publish(ctx, m)
	if err != nil {
		return nil, unavailable("not accepted", err)
	}
	return &publishOutput{published{id, operate.Unwanted(a.Router(), m.Topic)}}, nil
}

// plain returns the body of a message; see read. One with a Content-Encoding is refused.
func (q *request) plain(limited string) ([]byte, error) {
	if coding := strings.Join(q.header.Values("Content-Encoding"), ", "); coding != "" && !strings.EqualFold(coding, "identity") {
		return nil, problem.New(http.StatusUnsupportedMediaType, fmt.Sprintf("the body has the Content-Encoding %.40q, which subscribers would not be told of; send it plain", coding))
	}
	return q.read(limited)
}

// forwarded collects the message's own headers by their names in lower case: HTTP ignores case.
func forwarded(header http.Header) (map[string]string, error) {
	var out map[string]string
	for name, values := range header {
		own, prefixed := strings.CutPrefix(name, forwardPrefix)
		if !prefixed && name != "Traceparent" && name != "Tracestate" {
			continue
		}
		own = strings.ToLower(own)
		if !prefixed && header.Get(forwardPrefix+name) != "" {
			continue // the header of the message overrides the one that a tracer added to the request
		}
		value := strings.Join(values, ", ")
		if !utf8.ValidString(value) {
			// JSON could not hold it unaltered.
			return nil, fmt.Errorf("the value of %s is not UTF-8", name)
		}
		if out == nil {
			out = map[string]string{}
		}
		out[own] = value
	}
	return out, nil
}

// sayWhere adds to each problem which header of the request it is in.
func sayWhere(problems medispatcher.Problems) medispatcher.Problems {
	headers := map[string]string{"id": "Idempotency-Key", "sender": "medis-sender", "key": "medis-key", "type": "Content-Type"}
	for i, p := range problems {
		if h := headers[p.Field]; h != "" {
			problems[i].Problem = "the header " + h + " " + p.Problem
		}
	}
	return problems
}
