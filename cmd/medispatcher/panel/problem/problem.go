// Package problem makes the problem documents (RFC 9457) that say why a request was refused. The API, the web pages and
// the checks before both answer with them, so it imports neither.
package problem

import (
	"encoding/json"
	"net/http"

	"github.com/danielgtaylor/huma/v2"
)

// RetryAfter is the number of seconds after which a refused request may be repeated.
const RetryAfter = "1"

// New makes a problem document.
func New(status int, detail string) *huma.ErrorModel {
	return &huma.ErrorModel{Status: status, Title: http.StatusText(status), Detail: detail}
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
