// Package web is the pages that people see in a browser: html/template, a style sheet and a little JavaScript, all
// embedded. A page is two files of one name, its handler and its template; page.go and page.html are what all share.
//
// Pages read through operate, as the API does. Their JavaScript makes changes through the API. The package imports the
// domain, operate, show, auth and problem, and neither package api nor Redis.
package web

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/cmd/internal/access"
	"github.com/solate/medispatcher/cmd/medispatcher/operate"
	"github.com/solate/medispatcher/cmd/medispatcher/panel/auth"
)

const pageTimeout = 5 * time.Second // bounds the work on a page; pages reload by themselves

// Config is what the operator decides about the pages.
type Config struct {
	MaxBody int64  // of a message, in bytes
	Version string // of the program
	Rules   medispatcher.Rules
}

// Registry is the subscriptions.
type Registry interface {
	operate.Subscriptions
	Get(ctx context.Context, id string) (sub medispatcher.Subscription, rev string, err error)
}

// Store is the messages.
type Store interface {
	operate.Counts
	operate.Records
	operate.Attempts
	operate.DeadLetters
	operate.Messages
	operate.Trail
	// Failing lists messages that failed and will be tried again, latest failures first.
	Failing(ctx context.Context, id string, limit int) ([]medispatcher.Failing, error)
	Topics(ctx context.Context) (topics []string, more bool, err error)
}

// Alerts is what fires, and why.
type Alerts interface {
	Alerts(ctx context.Context) (medispatcher.Alerts, error)
	AlertRules() medispatcher.AlertRules
}

// Deps are the parts that the pages show.
type Deps struct {
	Registry Registry
	Store    Store
	Kept     operate.KeptMessages
	Alerts   Alerts
	Pusher   Pusher
	Archive  operate.Archive
	Router   func() *medispatcher.Router // the subscriptions in force, without delay
	Ready    func() error                // says without delay why this dispatcher cannot work now
	Log      *slog.Logger
	Tokens   *auth.Tokens // nil: none is needed
}

// pages holds what the pages share.
type pages struct {
	cfg      Config
	registry Registry
	store    Store
	kept     operate.KeptMessages
	pusher   Pusher
	archive  operate.Archive
	router   func() *medispatcher.Router
	ready    func() error
	log      *slog.Logger
	tokens   *auth.Tokens // nil: none is needed
	static   *static
	state    cached[medispatcher.Status]
	alerts   cached[medispatcher.Alerts]
	rules    func() medispatcher.AlertRules
	topics   cached[topicNames]
}

// Register registers the pages on mux. It returns the page for unknown paths.
func Register(mux *http.ServeMux, cfg Config, deps Deps) (nowhere http.HandlerFunc) {
	p := &pages{
		cfg: cfg, registry: deps.Registry, store: deps.Store, kept: deps.Kept, pusher: deps.Pusher, archive: deps.Archive, router: deps.Router, ready: deps.Ready, log: deps.Log, tokens: deps.Tokens, static: embedded(),
	}
	p.state.read = func(ctx context.Context) (medispatcher.Status, error) {
		return operate.Status(ctx, p.registry, p.store)
	}
	p.alerts.read = func(ctx context.Context) (medispatcher.Alerts, error) { return deps.Alerts.Alerts(ctx) }
	p.rules = func() medispatcher.AlertRules { return deps.Alerts.AlertRules() }
	p.topics.read = p.readTopics
	for pattern, page := range p.routes() {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			ctx, cancel := context.WithTimeout(r.Context(), pageTimeout)
			defer cancel()
			err := forbidden(auth.From(ctx), page.needs)
			if err == nil {
				err = page.show(w, r.WithContext(ctx))
			}
			if err != nil {
				p.fail(w, r, err)
			}
		})
	}
	mux.Handle("GET "+StaticPath, p.static)
	return p.nowhere
}

// route is a page, and the role that it needs.
type route struct {
	needs access.Role
	show  func(http.ResponseWriter, *http.Request) error
}

// open marks the routes that need no token.
const open access.Role = "open"

// routes are the pages by their patterns.
func (p *pages) routes() map[string]route {
	routes := map[string]route{
		"GET /{$}":                                   {access.Reader, p.overview},
		"GET /subscriptions":                         {access.Reader, p.list},
		"GET /subscribe":                             {access.Admin, p.subscribe},
		"GET /subscriptions/{id}":                    {access.Reader, p.subscription},
		"GET /subscriptions/{id}/deliveries":         {access.Reader, p.deliveries},
		"GET /subscriptions/{id}/test":               {access.Operator, p.trial},
		"GET /messages/{id}":                         {access.Reader, p.messagePage},
		"GET /messages/{id}/payload":                 {access.Operator, p.payload},
		"GET /subscriptions/{id}/dead":               {access.Reader, p.letters},
		"GET /subscriptions/{id}/dead/{letter}":      {access.Reader, p.letter},
		"GET /subscriptions/{id}/dead/{letter}/body": {access.Operator, p.letterBody},
		"GET /dead":                                  {access.Reader, p.dead},
		"GET /search":                                {access.Reader, p.search},
		"GET /topics":                                {access.Reader, p.topicList},
		"GET /topics/{topic}":                        {access.Reader, p.topic},
		"GET /alerts":                                {access.Reader, p.alertsPage},
		"GET /audit":                                 {access.Reader, p.audit},
		"GET /publish":                               {access.Operator, p.publish},
		"GET " + SignInPath:                          {open, p.signIn},
		"POST " + SignInPath:                         {open, p.signInWith},
		"POST " + signOutPath:                        {access.Anybody, p.signOut},
	}
	for _, place := range medispatcher.KeptPlaces {
		path := "GET " + keptLink(place)
		routes[path] = route{access.Reader, p.keptList(place)}
		routes[path+"/{message}"] = route{access.Reader, p.keptOne(place)}
		routes[path+"/{message}/body"] = route{access.Operator, p.keptFile(place)}
	}
	return routes
}

// forbiddenError says that the role of a visitor does not allow a page.
type forbiddenError string

func (e forbiddenError) Error() string { return string(e) }

// forbidden is the error for a visitor who may not use what needs a role.
func forbidden(v auth.Visitor, needs access.Role) error {
	if needs == open || v.May(needs) {
		return nil
	}
	return forbiddenError(v.Lacks(needs))
}

// signedIn reports whether a request is made in a session.
func (p *pages) signedIn(r *http.Request) bool {
	if p.tokens == nil {
		return false
	}
	_, valid := p.tokens.Session(r)
	return valid
}
