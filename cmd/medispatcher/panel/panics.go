package panel

import (
	"fmt"
	"log/slog"
	"net/http"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/cmd/medispatcher/panel/problem"
)

// survivePanics answers 500 instead of cutting the connection, and sets the headers of
// every answer. Only the log says what went wrong.
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
				panic(http.ErrAbortHandler) // cuts the connection: a partial answer must not look complete
			}
			problem.Write(answer, problem.Internal())
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
