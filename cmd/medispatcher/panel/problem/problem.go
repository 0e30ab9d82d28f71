// Package problem makes the problem documents (RFC 9457) that say why a request was refused. The API, the web pages and
// the checks before both answer with them, so it imports neither.
package problem

import (
	"encoding/json"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/solate/medispatcher"
)

// RetryAfter is the number of seconds after which a refused request may be repeated.
const RetryAfter = "1"

// New makes a problem document.
func New(status int, detail string) *huma.ErrorModel {
	return &huma.ErrorModel{Status: status, Title: http.StatusText(status), Detail: detail}
}

// Internal is the problem document of a bug. Only the log says what went wrong.
func Internal() *huma.ErrorModel {
	return New(http.StatusInternalServerError, "this is a bug in medispatcher, not in the request; its log says more, please report it")
}

// Invalid is the problem document of mistakes in a request.
func Invalid(problems medispatcher.Problems) *huma.ErrorModel {
	p := New(http.StatusUnprocessableEntity, "")
	for _, f := range problems {
		p.Errors = append(p.Errors, &huma.ErrorDetail{Location: f.Field, Message: f.Problem})
	}
	p.Detail = Line(problems)
	return p
}

// Line is problems in one line.
func Line(problems medispatcher.Problems) string {
	lines := make([]string, len(problems))
	for i, f := range problems {
		lines[i], _, _ = strings.Cut(f.Error(), "\n") // a filter shows its place in further lines
	}
	return strings.Join(lines, "; ")
}

// Write answers with a problem document outside of huma's operations.
func Write(w http.ResponseWriter, p *huma.ErrorModel) {
	body, err := json.Marshal(p)
	if err != nil {
		panic(err) // strings and numbers only
	}
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(p.Status)
	_, _ = w.Write(append(body, '\n')) // a client that went away needs no answer
}
