package api

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/cmd/internal/access"
	"github.com/solate/medispatcher/cmd/medispatcher/operate"
	"github.com/solate/medispatcher/cmd/medispatcher/panel/problem"
	rescue "github.com/solate/medispatcher/recover"
)

// contentBytes is how much of a body GET …/content shows, in bytes.
const contentBytes = 64 << 10

// Pusher makes requests as a dispatcher does.
type Pusher interface {
	// Show is the request of an attempt that would begin now. An error says why none can be made.
	Show(sub *medispatcher.Subscription, d *medispatcher.Delivery) (medispatcher.Request, error)
	// Try makes one attempt that counts nowhere. The error is ErrConflict while too many are under way; any other one
	// says why none can be made.
	Try(ctx context.Context, sub *medispatcher.Subscription, m medispatcher.Message) (medispatcher.Trial, error)
}

// WhichMessage is exported because huma reads no fields of an embedded type that is not.
type WhichMessage struct {
	ID           string `path:"id" doc:"The id that publishing returned, or that webhook-id carried" example:"0-1767225600000-0"`
	At           string `query:"at" doc:"Where it is, as GET …/messages/{id} says. Without, it is searched for" example:"dead/billing/0-1767225600003-0"`
	Subscription string `query:"subscription" doc:"Whose copy, if it is searched for, or who would get it" example:"billing"`
}

type content struct {
	Place   medispatcher.Place `json:"place" doc:"Where it was read"`
	Message *rescue.Message    `json:"message" doc:"Its body is a string, or body_base64 when it is not UTF-8"`
	Bytes   int                `json:"bytes" doc:"Of the whole body"`
	Cut     bool               `json:"cut,omitempty" doc:"Only the first 64 KiB of the body are shown"`
}

type contentOutput struct{ Body content }

type shownRequest struct {
	medispatcher.Request
	Subscription string `json:"subscription"`
	Curl         string `json:"curl" doc:"The same as a command for a POSIX shell"`
	BodyFile     string `json:"body_file,omitempty" doc:"The file that the command reads the body from, where that is long or binary"`
	BodyURL      string `json:"body_url" doc:"Where the body can be downloaded"`
}

type shownRequestOutput struct{ Body shownRequest }

type fileOutput struct {
	ContentType string `header:"Content-Type"`
	Disposition string `header:"Content-Disposition"`
	Policy      string `header:"Content-Security-Policy"`
	Body        []byte
}

func (a *api) payloadRoutes() {
	const path = Prefix + "/messages/{id}"
	errs := []int{http.StatusNotFound, http.StatusUnprocessableEntity, http.StatusServiceUnavailable}
	const where = " While it is in Redis, wherever that is: incoming, delayed, in a channel, dead, unrouted, quarantined."
	message := medispatcher.Message{
		ID: "order-42-created", Topic: "order.created", Body: []byte(`{"order":42}`), Type: medispatcher.DefaultType, Time: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC),
	}
	place := medispatcher.Place{State: medispatcher.Dead, Subscription: "billing", Entry: "1767225600003-0"}
	place.At = place.Ref()
	route(a, access.Operator, huma.Operation{
		OperationID: "get-message-content", Method: http.MethodGet, Path: path + "/content",
		Summary: "A message with its headers and the start of its body", Tags: []string{tagMessages}, Description: where[1:],
		Errors: errs, Responses: ok("200", "The message", content{Place: place, Message: rescue.MessageOf(&message), Bytes: len(message.Body)}),
	}, nil, a.content)
	route(a, access.Operator, huma.Operation{
		OperationID: "get-message-body", Method: http.MethodGet, Path: path + "/body",
		Summary: "The body of a message as a file", Tags: []string{tagMessages}, Description: "Its bytes unchanged." + where,
		Errors: errs, Responses: map[string]*huma.Response{"200": {
			Description: "The bytes of the body",
			Content:     map[string]*huma.MediaType{"application/octet-stream": {Schema: &huma.Schema{Type: huma.TypeString, Format: "binary"}, Example: `{"order":42}`}},
		}},
	}, nil, a.bodyFile)
	route(a, access.Operator, huma.Operation{
		OperationID: "get-message-request", Method: http.MethodGet, Path: path + "/request",
		Summary: "The request of an attempt, also as a curl command", Tags: []string{tagMessages},
		Description: "The request that this dispatcher would make now for the copy of a subscription, signature included. The signature holds for the " +
			"timestamp beside it: workers refuse it some minutes later, so ask again. Credentials of the subscription are masked." + where,
		Errors: errs, Responses: ok("200", "The request", shownRequest{Subscription: "billing", Request: medispatcher.Request{
			URL:     "http://billing.internal/hook",
			Headers: []medispatcher.HeaderField{{Name: "Content-Type", Value: medispatcher.DefaultType}, {Name: "Webhook-Id", Value: "order-42-created"}},
		}, Curl: "curl -i 'http://billing.internal/hook' …", BodyURL: Prefix + "/messages/order-42-created/body?at=dead%2Fbilling%2F0-1767225600003-0"}),
	}, nil, a.request)
}

// find reads the message that a request names.
func (a *api) find(ctx context.Context, in *WhichMessage) (medispatcher.Found, error) {
	subs, _, err := a.Registry.Subscriptions(ctx)
	if err != nil {
		return medispatcher.Found{}, failed(err)
	}
	found, err := operate.Find(ctx, a.Store, subs.IDs(), in.ID, in.At, in.Subscription)
	return found, notFound(err)
}

// notFound is failed for a message.
func notFound(err error) error {
	if err == nil {
		return nil
	}
	return gone(err, "at", "or never was there", "/messages/ID")
}

func (a *api) content(ctx context.Context, in *WhichMessage) (*contentOutput, error) {
	found, err := a.find(ctx, in)
	if err != nil {
		return nil, err
	}
	out := content{Place: found.Place, Bytes: len(found.Message.Body), Cut: len(found.Message.Body) > contentBytes}
	out.Place.At = found.Place.Ref()
	if out.Cut {
		found.Message.Body = found.Message.Body[:contentBytes]
	}
	out.Message = rescue.MessageOf(&found.Message)
	return &contentOutput{out}, nil
}

func (a *api) bodyFile(ctx context.Context, in *WhichMessage) (*fileOutput, error) {
	found, err := a.find(ctx, in)
	if err != nil {
		return nil, err
	}
	return &fileOutput{
		ContentType: "application/octet-stream", Disposition: fmt.Sprintf("attachment; filename=%q", operate.BodyFile(in.ID)),
		Policy: "sandbox; default-src 'none'", Body: found.Message.Body,
	}, nil
}

func (a *api) request(ctx context.Context, in *WhichMessage) (*shownRequestOutput, error) {
	found, err := a.find(ctx, in)
	if err != nil {
		return nil, err
	}
	d := found.Delivery()
	if d.Subscription == "" {
		d.Subscription = in.Subscription
	}
	if d.Subscription == "" {
		return nil, problem.Invalid(medispatcher.Problems{{Field: "subscription", Problem: "the message is not in the channel of one yet: say for which the request is"}})
	}
	sub, _, err := a.Registry.Get(ctx, d.Subscription)
	if err != nil {
		return nil, failed(err)
	}
	req, err := a.Pusher.Show(&sub, d)
	if err != nil {
		return nil, problem.Invalid(medispatcher.Problems{{Field: "subscription", Problem: err.Error()}})
	}
	out := shownRequest{Request: req, Subscription: d.Subscription, BodyURL: Prefix + operate.BodyPath(in.ID, found.Place)}
	file, inline := operate.BodyFile(in.ID), false
	if out.Curl, inline = operate.Curl(&req, file); !inline {
		out.BodyFile = file
	}
	return &shownRequestOutput{out}, nil
}
