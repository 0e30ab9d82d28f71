package web

import (
	"bytes"
	"embed"
	"html/template"
	"io/fs"
	"net/http"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/solate/medispatcher/cmd/internal/access"
	"github.com/solate/medispatcher/cmd/medispatcher/panel/auth"
)

//go:embed *.html
var templateFiles embed.FS

const (
	// liveHeader is sent by a page that updates itself: it needs only the parts that are marked data-live.
	liveHeader = "Medis-Live"
)

// sharedTemplates define the parts that several pages use.
var sharedTemplates = []string{"form.html", "message.html", "page.html", "places.html"}

// views are the templates of the pages by the names of their files, without .html. Each includes the
// shared ones.
var views = sync.OnceValue(func() map[string]*template.Template {
	shared := template.Must(template.New("").Funcs(viewFuncs).ParseFS(templateFiles, sharedTemplates...))
	views := map[string]*template.Template{}
	names, err := fs.Glob(templateFiles, "*.html")
	if err != nil {
		panic(err)
	}
	for _, name := range names {
		if !slices.Contains(sharedTemplates, name) {
			view := template.Must(template.Must(shared.Clone()).ParseFS(templateFiles, name))
			views[strings.TrimSuffix(name, path.Ext(name))] = view
		}
	}
	return views
})

// view is what a template gets.
type view struct {
	Name    string // of the template
	Title   string
	Page    string // its path up to the second slash
	Static  string // where the static files are
	Version string
	Signed  bool // there is a session to end
	Visitor auth.Visitor
	Live    bool // only the parts that change are needed
	Now     time.Time
	Data    any
}

// May reports whether the visitor may use what needs a role.
func (v view) May(needs access.Role) bool { return v.Visitor.May(needs) }

// show renders a page and sends it when all of it is made.
func (p *pages) show(w http.ResponseWriter, r *http.Request, status int, name, title string, data any) error {
	v := view{
		Name: name, Title: title, Page: "/" + strings.SplitN(r.URL.Path, "/", 3)[1], Static: p.static.base(), Version: p.cfg.Version, Now: time.Now(), Data: data,
		Signed: p.tokens != nil && auth.HasCookie(r), Visitor: auth.From(r.Context()), Live: r.Header.Get(liveHeader) != "",
	}
	var b bytes.Buffer
	if err := views()[name].ExecuteTemplate(&b, "page", v); err != nil {
		return &templateError{name, err}
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(b.Bytes()) // a client that went away needs no answer
	return nil
}
