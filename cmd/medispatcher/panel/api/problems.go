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

// unavailable says that Redis is away or refuses; what says what was not done.
func unavailable(what string, err error) error {
	detail := fmt.Sprintf("%s: %v; repeat the request", what, err)
	return huma.ErrorWithHeaders(problem.New(http.StatusServiceUnavailable, detail), http.Header{"Retry-After": {problem.RetryAfter}})
}

// failed makes the problem document of an error of the registry or the store.
func failed(err error) error {
	var problems medispatcher.Problems
	switch {
	case errors.As(err, &problems):
		return problem.Invalid(problems)
	case errors.Is(err, medispatcher.ErrNotFound):
		return problem.New(http.StatusNotFound, err.Error()+"; GET "+Prefix+"/subscriptions lists the existing ones")
	case errors.Is(err, medispatcher.ErrPrecondition):
		return problem.New(http.StatusPreconditionFailed, err.Error())
	case errors.Is(err, medispatcher.ErrConflict):
		return problem.New(http.StatusConflict, err.Error()+"; repeat the request")
	default:
		return unavailable("Redis does not answer, or refuses", err)
	}
}

// nameFields rewrites what huma says of wrong parameters: its detail names no field, and its
// locations begin with where the parameter stands.
func nameFields(_ huma.Context, _ string, v any) (any, error) {
	p, is := v.(*huma.ErrorModel)
	if !is {
		return v, nil
	}
	var problems medispatcher.Problems
	parameters := false
	for _, e := range p.Errors {
		for _, in := range []string{"query.", "header.", "path."} {
			if name, cut := strings.CutPrefix(e.Location, in); cut {
				e.Location, parameters = name, true
			}
		}
		problems = append(problems, medispatcher.FieldError{Field: e.Location, Problem: e.Message})
	}
	if parameters {
		p.Detail = problem.Line(problems)
	}
	return p, nil
}
