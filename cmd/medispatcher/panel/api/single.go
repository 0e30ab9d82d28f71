package api

import (
	"net/http"
	"net/url"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/cmd/medispatcher/panel/problem"
)

// lists are the headers that HTTP allows several times.
var lists = map[string]bool{"If-Match": true, "If-None-Match": true, "Tracestate": true}

// single refuses a parameter that is given twice: huma takes the first, and whoever sent the second is not told. It refuses a query
// that cannot be read, too, of which huma drops the part that is wrong.
func single(ctx huma.Context, next func(huma.Context)) {
	r, w := humago.Unwrap(ctx)
	var wrong medispatcher.Problems
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		wrong = append(wrong, medispatcher.FieldError{Field: "query", Problem: "cannot be read: " + err.Error()})
	}
	twice := func(name string, values []string) {
		if len(values) > 1 {
			wrong = append(wrong, medispatcher.FieldError{Field: name, Problem: "is given more than once"})
		}
	}
	for _, p := range ctx.Operation().Parameters {
		switch {
		case p.In == "query" && p.Schema.Type != huma.TypeArray:
			twice(p.Name, query[p.Name])
		case p.In == "header" && !lists[http.CanonicalHeaderKey(p.Name)]:
			twice(p.Name, r.Header.Values(p.Name))
		}
	}
	for _, name := range []string{"Authorization", "Content-Type"} { // of every operation; OpenAPI does not list them
		twice(name, r.Header.Values(name))
	}
	if len(wrong) > 0 {
		problem.Write(w, problem.Invalid(wrong))
		return
	}
	next(ctx)
}
