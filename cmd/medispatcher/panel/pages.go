package panel

import (
	"bytes"
	"context"
	"embed"
	"errors"
	"fmt"
	"html/template"
	"io/fs"
	"log/slog"
	"net/http"
	"path"
	"strings"
	"sync"
	"time"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/cmd/medispatcher/operate"
)

//go:embed templates
var templateFiles embed.FS

const (
	// pageTimeout bounds the work on a page: pages ask again by themselves.
	pageTimeout = 5 * time.Second
	// liveHeader is sent by a page that asks for what changed: it needs only the parts that
	// are marked data-live.
	liveHeader = "Medis-Live"
)

// pages are what people see in a browser. They read by the same steps as the API; what they
// change, their JavaScript changes through the API.
type pages struct {
	cfg      Config
	registry Registry
	store    Store
	kept     Kept
	router   func() *medispatcher.Router
	ready    func() error
	log      *slog.Logger
	sessions *sessions // nil: nobody is asked for a token
	static   *static
	state    shared[medispatcher.Status]
	alerts   shared[medispatcher.Alerts]
}

// newPages registers the pages on mux.
func newPages(cfg Config, deps Deps, s *sessions, mux *http.ServeMux) *pages {
	p := &pages{
		cfg: cfg, registry: deps.Registry, store: deps.Store, kept: deps.Kept, router: deps.Router, ready: deps.Ready, log: deps.Log, sessions: s, static: embedded(),
	}
	p.state.read = func(ctx context.Context) (medispatcher.Status, error) {
		return operate.Status(ctx, p.registry, p.store)
	}
	p.alerts.read = func(ctx context.Context) (medispatcher.Alerts, error) { return deps.Alerts.Alerts(ctx) }
	routes := map[string]func(http.ResponseWriter, *http.Request) error{
		"GET /{$}":                                   p.overview,
		"GET /subscriptions":                         p.list,
		"GET /subscribe":                             p.subscribe,
		"GET /subscriptions/{id}":                    p.subscription,
		"GET /subscriptions/{id}/dead":               p.letters,
		"GET /subscriptions/{id}/dead/{letter}":      p.letter,
		"GET /subscriptions/{id}/dead/{letter}/body": p.letterBody,
		"GET /dead":                                  p.dead,
		"GET /alerts":                                p.alertsPage,
		"GET /publish":                               p.publish,
		"GET " + signInPath:                          p.signIn,
		"POST " + signInPath:                         p.signInWith,
		"POST " + signOutPath:                        p.signOut,
	}
	for _, place := range medispatcher.KeptPlaces {
		path := "GET " + keptLink(place)
		routes[path], routes[path+"/{message}"], routes[path+"/{message}/body"] = p.keptList(place), p.keptOne(place), p.keptFile(place)
	}
	for pattern, h := range routes {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			ctx, cancel := context.WithTimeout(r.Context(), pageTimeout)
			defer cancel()
			if err := h(w, r.WithContext(ctx)); err != nil {
				p.fail(w, r, err)
			}
		})
	}
	mux.Handle("GET "+staticPath, p.static)
	return p
}

// views are the pages' templates by the names of their files, without .html, each together with
// those that are shared.
var views = sync.OnceValue(func() map[string]*template.Template {
	files, err := fs.Sub(templateFiles, "templates")
	if err != nil {
		panic(err) // embedded
	}
	shared := template.Must(template.New("").Funcs(viewFuncs).ParseFS(files, "shared_*.html"))
	views := map[string]*template.Template{}
	names, err := fs.Glob(files, "*.html")
	if err != nil {
		panic(err)
	}
	for _, name := range names {
		if !strings.HasPrefix(name, "shared_") {
			view := template.Must(template.Must(shared.Clone()).ParseFS(files, name))
			views[strings.TrimSuffix(name, path.Ext(name))] = view
		}
	}
	return views
})

// view is what every template gets.
type view struct {
	Name    string // of the template, which is the page's
	Title   string
	Page    string // its path, to the second slash
	Static  string // where the static files are
	Version string
	Signed  bool // there is a session that can be ended
	Live    bool // only the parts that change are wanted
	Now     time.Time
	Data    any
}

// show renders a page. Nothing is sent before all of it is made.
func (p *pages) show(w http.ResponseWriter, r *http.Request, status int, name, title string, data any) error {
	_, cookieErr := r.Cookie(sessionCookie)
	v := view{
		Name: name, Title: title, Page: "/" + strings.SplitN(r.URL.Path, "/", 3)[1], Static: p.static.base(), Version: p.cfg.Version, Now: time.Now(), Data: data,
		Signed: p.sessions != nil && cookieErr == nil, Live: r.Header.Get(liveHeader) != "",
	}
	var b bytes.Buffer
	if err := views()[name].ExecuteTemplate(&b, "page", v); err != nil {
		return fmt.Errorf("page %s: %w", name, err)
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(b.Bytes()) // a client that went away needs no answer
	return nil
}

// trouble is shown in place of a page.
type trouble struct {
	Heading, Text string
	Retry         bool // it may go away by itself
}

// fail shows why there is no page.
func (p *pages) fail(w http.ResponseWriter, r *http.Request, err error) {
	status, t := http.StatusServiceUnavailable, trouble{
		Heading: "Redis does not answer or refuses", Text: err.Error(), Retry: true,
	}
	var problems medispatcher.Problems
	var field medispatcher.FieldError
	switch {
	case errors.Is(err, medispatcher.ErrNotFound):
		status, t = http.StatusNotFound, trouble{Heading: "Not there", Text: err.Error()}
	case errors.As(err, &problems), errors.As(err, &field):
		status, t = http.StatusUnprocessableEntity, trouble{Heading: "That cannot be shown", Text: err.Error()}
	case errors.Is(err, context.Canceled):
		return // the browser went on
	case strings.HasPrefix(err.Error(), "page "):
		p.log.Error("a page cannot be made", "path", r.URL.Path, "error", err)
		status, t = http.StatusInternalServerError, trouble{Heading: "A mistake of medispatcher", Text: "Its log says more; please report it."}
	}
	if err := p.show(w, r, status, "trouble", t.Heading, t); err != nil {
		p.log.Error("a page cannot be made", "path", r.URL.Path, "error", err)
		writeProblem(w, problem(http.StatusInternalServerError, "a mistake of medispatcher, not of the request; its log says more, please report it"))
	}
}

// nowhere is the page of a path that there is not.
func (p *pages) nowhere(w http.ResponseWriter, r *http.Request) {
	t := trouble{Heading: "There is no such page", Text: r.URL.Path}
	if err := p.show(w, r, http.StatusNotFound, "trouble", t.Heading, t); err != nil {
		p.log.Error("a page cannot be made", "path", r.URL.Path, "error", err)
	}
}
