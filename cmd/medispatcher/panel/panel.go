// Package panel is the HTTP side of a dispatcher: the API under /api/v1 with its
// OpenAPI document, the web pages, and the health routes.
//
// It knows no Redis. What it needs is declared here as small interfaces, which the
// command satisfies; what a message or a subscription may hold is decided by the
// domain, so that the API and the command line say the same about a mistake.
package panel

import (
	"context"
	"log/slog"
	"net/http"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/cmd/medispatcher/operate"
)

// defaultMaxBody is the limit on a message's body where the configuration names none.
const defaultMaxBody = 1 << 20

// Config is what the operator decides about the API.
type Config struct {
	Token   string             // MEDIS_ADMIN_TOKEN; empty: nobody is asked for one
	MaxBody int64              // MEDIS_MAX_BODY, in bytes; 0: 1 MiB
	Version string             // of the program, shown in the OpenAPI document
	Rules   medispatcher.Rules // whose defaults and maxima the OpenAPI document shows
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
	Publish(ctx context.Context, m medispatcher.Message) (id string, err error)
	Story(ctx context.Context, id string, subs []string) (medispatcher.Story, error)
	Changes(ctx context.Context, id, before string, limit int) ([]medispatcher.Change, error)
	Purge(ctx context.Context, id string) (ready, buried int64, err error)
	// Failing are messages that failed and are tried again, the last failures first.
	Failing(ctx context.Context, id string, limit int) ([]medispatcher.Failing, error)
	DeadLetters
	Statistics
}

// DeadLetters are the messages whose attempts are exhausted. An id that cannot be one is a
// medispatcher.FieldError, in a list medispatcher.Problems of "ids[…]".
type DeadLetters interface {
	DeadLetters(ctx context.Context, id, after string, limit int) ([]medispatcher.DeadLetter, error)
	DeadLetter(ctx context.Context, id, letter string) (medispatcher.DeadLetter, error)
	Replay(ctx context.Context, id string, letters []string) (int, error)
	ReplayAll(ctx context.Context, id string, more func(done, all int64) bool) (done, left int64, err error)
	PurgeDead(ctx context.Context, id string, letters []string) (int, error)
	PurgeAllDead(ctx context.Context, id string, more func(done, all int64) bool) (done, left int64, err error)
}

// Alerts is what fires, and the way to try the receivers.
type Alerts interface {
	Alerts(ctx context.Context) (medispatcher.Alerts, error)
	// TestAlert sends a notice to the receivers in force of a subscription, or with "" to the default ones.
	TestAlert(ctx context.Context, sub string) ([]medispatcher.Receipt, error)
}

// Deps are the parts that the API works on. All of them are needed.
type Deps struct {
	Registry Registry
	Store    Store
	Kicker   Kicker
	Alerts   Alerts
	Kept     Kept
	// Router is the subscriptions in force, as this dispatcher knows them: it must answer at once.
	Router  func() *medispatcher.Router
	Metrics http.Handler // of /metrics; nil: there is none
	Ready   func() error // why this dispatcher cannot work now; it must answer at once
	Log     *slog.Logger
}

// New makes the handler of every route.
func New(cfg Config, deps Deps) http.Handler {
	if cfg.MaxBody <= 0 {
		cfg.MaxBody = defaultMaxBody
	}
	var s *sessions
	if cfg.Token != "" {
		s = newSessions(cfg.Token)
	}
	mux := http.NewServeMux()
	newAPI(cfg, deps, mux)
	if deps.Metrics != nil {
		mux.Handle("GET /metrics", deps.Metrics)
	}
	pages := newPages(cfg, deps, s, mux)

	var h http.Handler = problemMux{mux, pages.nowhere}
	if s != nil {
		h = requireToken(s, deps.Log, h)
	} else {
		h = refuseOtherNames(h)
	}
	h = nameActor(h)
	h = refuseCrossSite(h)
	h = secure(h)
	h = survivePanics(deps.Log, h)
	return h
}
