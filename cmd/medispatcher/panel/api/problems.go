package api

import (
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/cmd/medispatcher/panel/problem"
)

// invalid is the problem document of a mistake in what the client wrote.
func invalid(problems medispatcher.Problems) *huma.ErrorModel {
	p := problem.New(http.StatusUnprocessableEntity, strings.ReplaceAll(problems.Error(), "\n", "; "))
	for _, f := range problems {
		p.Errors = append(p.Errors, &huma.ErrorDetail{Location: f.Field, Message: f.Problem})
	}
	return p
}

// unavailable says that Redis is away or refuses. what has not happened comes first.
func unavailable(what string, err error) error {
	detail := fmt.Sprintf("%s: %v; repeat the request", what, err)
	return huma.ErrorWithHeaders(problem.New(http.StatusServiceUnavailable, detail), http.Header{"Retry-After": {problem.RetryAfter}})
}

// failed makes the problem document of an error of the registry or the store.
func failed(err error) error {
	var problems medispatcher.Problems
	switch {
	case errors.As(err, &problems):
		return invalid(problems)
	case errors.Is(err, medispatcher.ErrNotFound):
		return problem.New(http.StatusNotFound, err.Error()+"; GET "+Prefix+"/subscriptions lists those that there are")
	case errors.Is(err, medispatcher.ErrPrecondition):
		return problem.New(http.StatusPreconditionFailed, err.Error())
	case errors.Is(err, medispatcher.ErrConflict):
		return problem.New(http.StatusConflict, err.Error()+"; repeat the request")
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
