// Package api is the JSON API of a dispatcher under /api/v1, with its OpenAPI document and the health routes. There is a
// file for each resource, with its routes, its examples and its handlers.
//
// It imports the domain, operate and problem, and neither the pages nor Redis.
package api

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/cmd/medispatcher/operate"
)

const (
	// Prefix of every route that is not a health check or the document.
	Prefix = "/api/v1"
	// answerTimeout bounds the work on a request whose body has been read.
	answerTimeout = 15 * time.Second
	// tokenScheme names the security scheme in the document.
	tokenScheme = "token"
)

// Tags of the operations.
const (
	tagMessages      = "messages"
	tagSubscriptions = "subscriptions"
	tagDead          = "dead letters"
	tagKept          = "kept messages"
	tagStatus        = "status"
	tagAlerts        = "alerts"
	tagHealth        = "health"
)

// Config is what the operator decides about the API.
type Config struct {
	MaxBody    int64  // of a message, in bytes
	Version    string // of the program, shown in the OpenAPI document
	Rules      medispatcher.Rules
	NeedsToken bool // the document says so; whoever calls the API has checked it
}

// Registry is the subscriptions. Its errors are medispatcher.Problems, ErrNotFound,
// ErrPrecondition and ErrConflict; any other one means that Redis is away or refuses.
type Registry interface {
	operate.Subscriptions
	operate.Registry
	Put(ctx context.Context, id string, doc []byte, ifMatch string) (sub medispatcher.Subscription, rev string, created bool, err error)
	Patch(ctx context.Context, id string, patch []byte, ifMatch string) (sub medispatcher.Subscription, rev string, err error)
}

// Store is the messages.
type Store interface {
	operate.Counts
	operate.Keys
	operate.Records
	Publish(ctx context.Context, m medispatcher.Message) (id string, err error)
	Story(ctx context.Context, id string, subs []string) (medispatcher.Story, error)
	Purge(ctx context.Context, id string) (ready, buried int64, err error)
	DeadLetters
	Statistics
}

// Deps are the parts that the API works on.
type Deps struct {
	Registry Registry
	Store    Store
	Kicker   Kicker
	Alerts   Alerts
	Kept     Kept
	Router   func() *medispatcher.Router // of the subscriptions in force; it must answer at once
	Ready    func() error                // why this dispatcher cannot work now; it must answer at once
	Log      *slog.Logger
}

// A list of an answer is never null: it is empty.
func init() { huma.DefaultArrayNullable = false }

// api holds what the operations share.
type api struct {
	Config
	Deps
	huma huma.API
}

// Register registers every route on mux.
func Register(mux humago.Mux, cfg Config, deps Deps) {
	a := &api{cfg, deps, humago.New(mux, humaConfig(cfg.Version))}
	a.describeSubscription()
	a.publishRoutes()
	a.subscriptionRoutes()
	a.channelRoutes()
	a.deadRoutes()
	a.keptRoutes()
	a.historyRoutes()
	a.storyRoutes()
	a.statusRoutes()
	a.alertRoutes()
	a.statsRoutes()
	a.healthRoutes()
	a.documentRoute()
}

func humaConfig(version string) huma.Config {
	c := huma.DefaultConfig("medispatcher", version)
	// Its docs page loads scripts from a CDN, its hooks add $schema to every answer,
	// and it renders the document lazily without a lock: documentRoute serves that.
	c.DocsPath, c.SchemasPath, c.OpenAPIPath, c.CreateHooks = "", "", "", nil
	// A mistyped ?delay= would otherwise publish at once.
	c.RejectUnknownQueryParameters = true
	c.Transformers = []huma.Transformer{nameFields}
	c.Info.Description = "Publish messages, manage subscriptions, see what is waiting. " +
		"Every error is a problem document (RFC 9457) whose detail says what to do."
	c.Info.License = &huma.License{Name: "MIT", Identifier: "MIT"}
	c.Tags = []*huma.Tag{
		{Name: tagMessages, Description: "Publishing"},
		{Name: tagSubscriptions, Description: "Who wants a topic and how to push to them"},
		{Name: tagDead, Description: "Messages whose attempts are exhausted, kept whole"},
		{Name: tagKept, Description: "Messages that reached no channel: nobody wanted them, or they could not be decoded"},
		{Name: tagStatus, Description: "What is waiting, and who works on it"},
		{Name: tagAlerts, Description: "What fires, and the last notices"},
		{Name: tagHealth, Description: "For probes; open to everybody"},
	}
	c.Components.SecuritySchemes = map[string]*huma.SecurityScheme{tokenScheme: {
		Type: "http", Scheme: "bearer",
		Description: "The value of MEDIS_ADMIN_TOKEN. Where that is not set, no token is asked for.",
	}}
	return c
}

// route registers an operation that needs the token.
func route[I, O any](a *api, op huma.Operation, body *huma.RequestBody, handle func(context.Context, *I) (*O, error)) {
	op.Errors = append(slices.Clone(op.Errors), http.StatusUnauthorized, http.StatusTooManyRequests)
	if op.Method != http.MethodGet {
		op.Errors = append(op.Errors, http.StatusForbidden)
	}
	if a.NeedsToken {
		op.Security = []map[string][]string{{tokenScheme: {}}}
	}
	openRoute(a, op, body, handle)
}

// openRoute registers an operation for everybody.
func openRoute[I, O any](a *api, op huma.Operation, body *huma.RequestBody, handle func(context.Context, *I) (*O, error)) {
	huma.Register(a.huma, op, func(ctx context.Context, in *I) (*O, error) {
		ctx, cancel := context.WithTimeout(ctx, answerTimeout)
		defer cancel()
		return handle(ctx, in)
	})
	item := a.huma.OpenAPI().Paths[op.Path]
	for _, registered := range []*huma.Operation{item.Get, item.Post, item.Put, item.Patch, item.Delete} {
		if registered == nil || registered.OperationID != op.OperationID {
			continue
		}
		describeErrors(registered)
		if body != nil {
			// Only now: huma would read and check the bodies of operations that it knows to
			// have one, and both its limit and its messages are not the ones promised.
			registered.RequestBody = body
		}
	}
}

// detached is the context of a change that has several steps: a client that hangs up
// must not leave it half done. It keeps the time limit alone.
func detached(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), answerTimeout)
}

// ok documents the answer of an operation by an example.
func ok(status, description string, example any) map[string]*huma.Response {
	return map[string]*huma.Response{status: {
		Description: description,
		Content:     map[string]*huma.MediaType{"application/json": {Example: example}},
	}}
}

type documentOutput struct {
	ContentType string `header:"Content-Type"`
	Body        []byte
}

// documentRoute serves the OpenAPI document, which is made when it is first asked for: every
// operation is registered by then.
func (a *api) documentRoute() {
	doc := sync.OnceValue(func() []byte {
		raw, err := json.Marshal(a.huma.OpenAPI())
		if err != nil {
			panic(err) // made of literals: the tests would see it
		}
		return raw
	})
	route(a, huma.Operation{
		OperationID: "get-openapi", Method: http.MethodGet, Path: "/openapi.json",
		Summary: "This document", Tags: []string{tagStatus},
		Responses: map[string]*huma.Response{"200": {
			Description: "An OpenAPI 3.1 document",
			Content:     map[string]*huma.MediaType{"application/openapi+json": {Schema: &huma.Schema{Type: huma.TypeObject}}},
		}},
	}, nil, func(context.Context, *struct{}) (*documentOutput, error) {
		return &documentOutput{ContentType: "application/openapi+json", Body: doc()}, nil
	})
}
