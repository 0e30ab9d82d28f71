// Package panel is the HTTP side of a dispatcher. It puts its rooms behind one handler and checks each request before it
// reaches them. The rooms are api, the JSON API with its OpenAPI document and the health routes; web, the pages; auth, who
// may use both; and problem, how all of them refuse a request.
//
// api and web do not import each other, and none of the packages imports Redis: each declares the small interfaces it needs.
// What an operator can do is in operate, which the command line uses as well. The domain decides what a message or a
// subscription may hold. So the API, the pages and the command line say the same about a mistake.
package panel

import (
	"log/slog"
	"net/http"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/cmd/internal/access"
	"github.com/solate/medispatcher/cmd/medispatcher/panel/api"
	"github.com/solate/medispatcher/cmd/medispatcher/panel/auth"
	"github.com/solate/medispatcher/cmd/medispatcher/panel/web"
)

// defaultMaxBody is the limit on a message's body where the configuration names none.
const defaultMaxBody = 1 << 20

// Config is what the operator decides about the API and the pages.
type Config struct {
	Tokens   []access.Token     // MEDIS_ADMIN_TOKEN and MEDIS_TOKENS; empty: none is needed
	Proxies  auth.Proxies       // MEDIS_TRUSTED_PROXIES
	MaxBody  int64              // MEDIS_MAX_BODY, in bytes; 0: 1 MiB
	Version  string             // of the program, shown in the OpenAPI document
	Rules    medispatcher.Rules // whose defaults and maxima the OpenAPI document and the form show
	BasePath string             // MEDIS_BASE_PATH: below which a proxy serves everything; empty: none
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
	Sessions auth.Sessions
	Pusher   api.Pusher
	Archive  api.Archive
	// Router returns the subscriptions in force, as this dispatcher knows them, without delay.
	Router  func() *medispatcher.Router
	Metrics http.Handler // for /metrics; nil: no such route
	Ready   func() error // says without delay why this dispatcher cannot work now
	Log     *slog.Logger
}

// New makes the handler of every route.
func New(cfg Config, deps Deps) http.Handler {
	if cfg.MaxBody <= 0 {
		cfg.MaxBody = defaultMaxBody
	}
	var tokens *auth.Tokens
	if len(cfg.Tokens) > 0 {
		tokens = auth.New(cfg.Tokens, deps.Sessions)
	}
	mux := http.NewServeMux()
	api.Register(mux, api.Config{MaxBody: cfg.MaxBody, Version: cfg.Version, Rules: cfg.Rules, NeedsToken: tokens != nil, BasePath: cfg.BasePath}, api.Deps{
		Registry: deps.Registry, Store: deps.Store, Kicker: deps.Kicker, Alerts: deps.Alerts, Kept: deps.Kept, Pusher: deps.Pusher,
		Archive: deps.Archive, Router: deps.Router, Ready: deps.Ready, Log: deps.Log,
	})
	if deps.Metrics != nil {
		mux.Handle("GET /metrics", only(access.Metrics, deps.Metrics))
	}
	nowhere := web.Register(mux, web.Config{MaxBody: cfg.MaxBody, Version: cfg.Version, Rules: cfg.Rules}, web.Deps{
		Registry: deps.Registry, Store: deps.Store, Alerts: deps.Alerts, Kept: deps.Kept, Pusher: deps.Pusher,
		Archive: deps.Archive, Router: deps.Router, Ready: deps.Ready, Log: deps.Log, Tokens: tokens,
	})

	var h http.Handler = problemMux{mux, nowhere}
	if tokens != nil {
		h = requireToken(tokens, cfg.Proxies, deps.Log, h)
	} else {
		h = refuseOtherNames(letEverybody(cfg.Proxies, h))
	}
	h = refuseCrossSite(h)
	h = secure(h)
	h = underBase(cfg.BasePath, h)
	h = survivePanics(deps.Log, h)
	return h
}
