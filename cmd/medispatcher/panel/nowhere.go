package panel

import (
	"fmt"
	"net/http"

	"github.com/solate/medispatcher/cmd/medispatcher/panel/problem"
)

// problemMux makes problem documents of what the mux says in plain text: 404 and 405.
type problemMux struct {
	mux     *http.ServeMux
	nowhere http.HandlerFunc // the page for 404
}

func (m problemMux) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h, pattern := m.mux.Handler(r)
	if pattern == "" && wantsPage(r) {
		m.nowhere(w, r)
		return
	}
	if pattern != "" {
		// Everything is JSON: a client that asks for something else gets it, too.
		r.Header.Del("Accept")
		m.mux.ServeHTTP(w, r)
		return
	}
	said := verdict{header: http.Header{}}
	h.ServeHTTP(&said, r)
	if said.status == http.StatusMethodNotAllowed {
		allow := said.header.Get("Allow")
		w.Header().Set("Allow", allow)
		problem.Write(w, problem.New(said.status, fmt.Sprintf("%s is not possible here; use %s", r.Method, allow)))
		return
	}
	problem.Write(w, problem.New(http.StatusNotFound, "there is nothing at this path; GET /openapi.json lists every route"))
}

// verdict keeps what a handler answers, without its text.
type verdict struct {
	header http.Header
	status int
}

func (v *verdict) Header() http.Header { return v.header }
func (v *verdict) WriteHeader(s int)   { v.status = s }
func (v *verdict) Write(b []byte) (int, error) {
	return len(b), nil
}
