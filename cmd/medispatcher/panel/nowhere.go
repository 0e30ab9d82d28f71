package panel

import (
	"fmt"
	"net/http"

	"github.com/solate/medispatcher/cmd/medispatcher/panel/problem"
)

// problemMux answers with problem documents where the mux would answer in plain text: 404 and 405.
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
		// The API answers in JSON whatever a client accepts.
		r.Header.Del("Accept")
		m.mux.ServeHTTP(w, r)
		return
	}
	said := verdict{header: http.Header{}}
	h.ServeHTTP(&said, r)
	if said.status == http.StatusMethodNotAllowed {
		allow := said.header.Get("Allow")
		w.Header().Set("Allow", allow)
		problem.Write(w, problem.New(said.status, fmt.Sprintf("%s is not allowed here; use %s", r.Method, allow)))
		return
	}
	problem.Write(w, problem.New(http.StatusNotFound, "there is nothing at this path; GET /openapi.json lists every route"))
}

// verdict keeps the status and the headers of an answer, not its body.
type verdict struct {
	header http.Header
	status int
}

func (v *verdict) Header() http.Header { return v.header }
func (v *verdict) WriteHeader(s int)   { v.status = s }
func (v *verdict) Write(b []byte) (int, error) {
	return len(b), nil
}
