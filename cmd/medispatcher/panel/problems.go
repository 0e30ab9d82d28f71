package panel

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/solate/medispatcher"
)

// retryAfter is the number of seconds after which a refused request may be repeated.
const retryAfter = "1"

// problem makes a problem document.
func problem(status int, detail string) *huma.ErrorModel {
	return &huma.ErrorModel{Status: status, Title: http.StatusText(status), Detail: detail}
}

// invalid is the problem document of a mistake in what the client wrote.
func invalid(problems medispatcher.Problems) *huma.ErrorModel {
	p := problem(http.StatusUnprocessableEntity, strings.ReplaceAll(problems.Error(), "\n", "; "))
	for _, f := range problems {
		p.Errors = append(p.Errors, &huma.ErrorDetail{Location: f.Field, Message: f.Problem})
	}
	return p
}

// unavailable says that Redis is away or refuses. what has not happened comes first.
func unavailable(what string, err error) error {
	detail := fmt.Sprintf("%s: %v; repeat the request", what, err)
	return huma.ErrorWithHeaders(problem(http.StatusServiceUnavailable, detail), http.Header{"Retry-After": {retryAfter}})
}

// failed makes the problem document of an error of the registry or the store.
func failed(err error) error {
	var problems medispatcher.Problems
	switch {
	case errors.As(err, &problems):
		return invalid(problems)
	case errors.Is(err, medispatcher.ErrNotFound):
		return problem(http.StatusNotFound, err.Error()+"; GET "+prefix+"/subscriptions lists those that there are")
	case errors.Is(err, medispatcher.ErrPrecondition):
		return problem(http.StatusPreconditionFailed, err.Error())
	case errors.Is(err, medispatcher.ErrConflict):
		return problem(http.StatusConflict, err.Error()+"; repeat the request")
	default:
		return unavailable("Redis does not answer or refuses", err)
	}
}

// nameFields rewrites what huma says of a wrong parameter: its detail names no field,
// and its locations name them in another way than those of a document.
func nameFields(_ huma.Context, _ string, v any) (any, error) {
	p, is := v.(*huma.ErrorModel)
	if !is || p.Detail != "validation failed" {
		return v, nil
	}
	lines := make([]string, len(p.Errors))
	for i, e := range p.Errors {
		for _, in := range []string{"query.", "header.", "path."} {
			e.Location = strings.TrimPrefix(e.Location, in)
		}
		lines[i] = e.Location + ": " + e.Message
	}
	p.Detail = strings.Join(lines, "; ")
	return p, nil
}

// writeProblem answers outside of huma's operations.
func writeProblem(w http.ResponseWriter, p *huma.ErrorModel) {
	body, err := json.Marshal(p)
	if err != nil {
		panic(err) // strings and numbers only
	}
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(p.Status)
	_, _ = w.Write(append(body, '\n')) // a client that went away needs no answer
}

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
		writeProblem(w, problem(said.status, fmt.Sprintf("%s is not possible here; use %s", r.Method, allow)))
		return
	}
	writeProblem(w, problem(http.StatusNotFound, "there is nothing at this path; GET /openapi.json lists every route"))
}

// policy lets a page load what this dispatcher serves, and nothing else: no script or style
// that stands in a page, whoever wrote it there, is obeyed.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; " +
	"form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// secure sets the headers that keep browsers from mischief.
func secure(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Security-Policy", policy)
		// Other sites learn nothing. no-referrer would also take the Origin off our own forms, by
		// which requests of other sites are told apart where a browser says nothing else.
		w.Header().Set("Referrer-Policy", "same-origin")
		next.ServeHTTP(w, r)
	})
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

// survivePanics answers 500 instead of cutting the connection, and sets the headers of
// every answer. What went wrong is for the log alone.
func survivePanics(log *slog.Logger, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.Header().Set("Cache-Control", "no-store")
		answer := &answer{ResponseWriter: w}
		defer func() {
			cause := recover()
			if cause == nil {
				return
			}
			if cause == http.ErrAbortHandler { //nolint:errorlint // a value of panic, never wrapped
				panic(cause)
			}
			p := medispatcher.Recovered(cause)
			log.Error("panic while answering a request", "method", r.Method, "path", r.URL.Path, "panic", fmt.Sprint(cause), "stack", string(p.Stack))
			if answer.begun {
				panic(http.ErrAbortHandler) // a cut answer must not look like a whole one
			}
			writeProblem(answer, problem(http.StatusInternalServerError,
				"a mistake of medispatcher, not of the request; its log says more, please report it"))
		}()
		next.ServeHTTP(answer, r)
	})
}

// answer knows whether an answer has begun.
type answer struct {
	http.ResponseWriter
	begun bool
}

func (a *answer) WriteHeader(status int) {
	a.begun = true
	a.ResponseWriter.WriteHeader(status)
}

func (a *answer) Write(b []byte) (int, error) {
	a.begun = true
	return a.ResponseWriter.Write(b)
}

// Unwrap lets http.ResponseController reach the connection.
func (a *answer) Unwrap() http.ResponseWriter { return a.ResponseWriter }
