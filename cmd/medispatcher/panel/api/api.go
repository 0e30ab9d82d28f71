// Package api is the JSON API of a dispatcher under /api/v1, with its OpenAPI document and the health routes. There is a
// file for each resource, with its routes, its examples and its handlers.
//
// It imports the domain, access, operate, auth and problem, and neither the pages nor Redis.
package api

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/cmd/internal/access"
	"github.com/solate/medispatcher/cmd/medispatcher/operate"
	"github.com/solate/medispatcher/cmd/medispatcher/panel/auth"
	"github.com/solate/medispatcher/cmd/medispatcher/panel/problem"
)

const (
	// Prefix of every route that is not a health check or the document.
	Prefix = "/api/v1"
	// RoleExtension is what the document calls the role that an operation needs.
	RoleExtension = "x-role"
	// answerTimeout bounds the work on a request whose body has been read.
	answerTimeout = 15 * time.Second
)

// Config is what the operator decides about the API.
type Config struct {
	MaxBody    int64  // of a message, in bytes
	Version    string // of the program, shown in the OpenAPI document
	Rules      medispatcher.Rules
	BasePath   string // below which a proxy serves the API
	NeedsToken bool   // so the document says; the token is checked before a request gets here, its role is checked here
}

// Registry is the subscriptions. Its errors are medispatcher.Problems, ErrNotFound,
// ErrPrecondition and ErrConflict; any other one means that Redis is away or refuses.
type Registry interface {
	operate.Subscriptions
	operate.Registry
	operate.Putter
	Put(ctx context.Context, id string, doc []byte, ifMatch string) (sub medispatcher.Subscription, rev string, created bool, err error)
	Patch(ctx context.Context, id string, patch []byte, ifMatch string) (sub medispatcher.Subscription, rev string, err error)
}

// Store is the messages.
type Store interface {
	operate.Counts
	operate.Keys
	operate.Records
	operate.Attempts
	operate.Trail
	Publish(ctx context.Context, m medispatcher.Message) (id string, err error)
	PublishAll(ctx context.Context, messages []medispatcher.Message) (ids []string, err error)
	operate.Messages
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
	Pusher   Pusher
	Archive  Archive
	Router   func() *medispatcher.Router // the subscriptions in force, without delay
	Ready    func() error                // says without delay why this dispatcher cannot work now
	Log      *slog.Logger
}

// api holds what the operations share.
type api struct {
	Config
	Deps
	huma huma.API
}

// Register registers every route on mux.
func Register(mux humago.Mux, cfg Config, deps Deps) {
	a := &api{cfg, deps, humago.New(mux, humaConfig(cfg))}
	a.describeSubscription()
	a.publishRoutes()
	a.eventRoutes()
	a.subscriptionRoutes()
	a.filterRoutes()
	a.channelRoutes()
	a.deliveryRoutes()
	a.trialRoute()
	a.replayRoutes()
	a.deadRoutes()
	a.keptRoutes()
	a.historyRoutes()
	a.auditRoutes()
	a.storyRoutes()
	a.payloadRoutes()
	a.statusRoutes()
	a.alertRoutes()
	a.statsRoutes()
	a.healthRoutes()
	a.documentRoute()
}

// route registers an operation for those whose role includes another one. What it changes is noted in the audit trail, except
// publishing.
func route[I, O any](a *api, needs access.Role, op huma.Operation, body *huma.RequestBody, handle func(context.Context, *I) (*O, error)) {
	op.Errors = append(slices.Clone(op.Errors), http.StatusUnauthorized, http.StatusForbidden, http.StatusTooManyRequests)
	op.Extensions = map[string]any{RoleExtension: needs}
	if needs != access.Anybody {
		op.Description = strings.TrimSpace(op.Description + fmt.Sprintf(" Needs the role %s.", needs))
	}
	op.Middlewares = append(op.Middlewares, func(ctx huma.Context, next func(huma.Context)) {
		if v := auth.From(ctx.Context()); !v.May(needs) {
			_, w := humago.Unwrap(ctx)
			problem.Write(w, problem.New(http.StatusForbidden, v.Lacks(needs)))
			return
		}
		next(ctx)
	}, single)
	if op.Method != http.MethodGet && needs != access.Publisher && !unnoted[op.OperationID] {
		op.Middlewares = append(op.Middlewares, beginDeed)
		handle = noted(a, handle)
	}
	if a.NeedsToken {
		op.Security = []map[string][]string{{tokenScheme: {}}}
	}
	openRoute(a, op, body, handle)
}

// seesBodies reports whether the visitor may see the bodies of messages.
func seesBodies(ctx context.Context) bool { return auth.From(ctx).May(access.Operator) }

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
			// Set only now: huma would read and check the body of an operation that it knows to
			// have one, with another limit and other messages than those promised.
			registered.RequestBody = body
		}
	}
}

// detached is the context of a change that has several steps, so that a client that hangs up does
// not leave it half done. Only the time limit stays.
func detached(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), answerTimeout)
}
