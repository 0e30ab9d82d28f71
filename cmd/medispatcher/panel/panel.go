// Package panel is the HTTP side of a dispatcher. It joins its three rooms behind one handler: api, the JSON API with its
// OpenAPI document and the health routes; web, the pages; auth, who may use them. What both rooms need to answer an error
// is in problem.
//
// Neither room knows the other, and none knows Redis: each declares what it needs as small interfaces. What an operator
// can do is in operate, which the command line uses as well; what a message or a subscription may hold is decided by the
// domain. So all three say the same about a mistake.
package panel

import (
	"log/slog"
	"net/http"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/cmd/medispatcher/panel/api"
	"github.com/solate/medispatcher/cmd/medispatcher/panel/auth"
	"github.com/solate/medispatcher/cmd/medispatcher/panel/web"
)

// defaultMaxBody is the limit on a message's body where the configuration names none.
const defaultMaxBody = 1 << 20

// Config is what the operator decides about the API and the pages.
type Config struct {
	Token   string             // MEDIS_ADMIN_TOKEN; empty: nobody is asked for one
	MaxBody int64              // MEDIS_MAX_BODY, in bytes; 0: 1 MiB
	Version string             // of the program, shown in the OpenAPI document
	Rules   medispatcher.Rules // whose defaults and maxima the OpenAPI document and the form show
}

// Registry is the subscriptions.
type Registry interface {
	api.Registry
	web.Registry
}

// Store is the messages.
type Store interface {
	api.Store
	web.Store
}

// Deps are the parts that the API and the pages work on. All of them are needed.
type Deps struct {
	Registry Registry
	Store    Store
	Kicker   api.Kicker
	Alerts   api.Alerts
	Kept     api.Kept
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
	var token *auth.Token
	if cfg.Token != "" {
		token = auth.New(cfg.Token)
	}
	mux := http.NewServeMux()
	api.Register(mux, api.Config{MaxBody: cfg.MaxBody, Version: cfg.Version, Rules: cfg.Rules, NeedsToken: token != nil}, api.Deps{
		Registry: deps.Registry, Store: deps.Store, Kicker: deps.Kicker, Alerts: deps.Alerts, Kept: deps.Kept,
		Router: deps.Router, Ready: deps.Ready, Log: deps.Log,
	})
	if deps.Metrics != nil {
		mux.Handle("GET /metrics", deps.Metrics)
	}
	nowhere := web.Register(mux, web.Config{MaxBody: cfg.MaxBody, Version: cfg.Version, Rules: cfg.Rules}, web.Deps{
		Registry: deps.Registry, Store: deps.Store, Alerts: deps.Alerts, Kept: deps.Kept,
		Router: deps.Router, Ready: deps.Ready, Log: deps.Log, Token: token,
	})

	var h http.Handler = problemMux{mux, nowhere}
	if token != nil {
		h = requireToken(token, deps.Log, h)
	} else {
		h = refuseOtherNames(h)
	}
	h = nameActor(h)
	h = refuseCrossSite(h)
	h = secure(h)
	h = survivePanics(deps.Log, h)
	return h
}
