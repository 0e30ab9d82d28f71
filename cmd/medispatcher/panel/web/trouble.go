package web

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/cmd/medispatcher/panel/problem"
)

// trouble is shown instead of a page.
type trouble struct {
	Heading, Text string
	Retry         bool // the page tries again by itself
}

// templateError is a page that could not be rendered: a bug.
type templateError struct {
	page  string
	cause error
}

func (e *templateError) Error() string { return fmt.Sprintf("page %s: %v", e.page, e.cause) }
func (e *templateError) Unwrap() error { return e.cause }

// fail shows the page that says why.
func (p *pages) fail(w http.ResponseWriter, r *http.Request, err error) {
	status, t := http.StatusServiceUnavailable, trouble{
		Heading: "Redis does not answer, or refuses", Text: err.Error(), Retry: true,
	}
	var problems medispatcher.Problems
	var field medispatcher.FieldError
	var template *templateError
	var forbidden forbiddenError
	switch {
	case errors.As(err, &forbidden):
		status, t = http.StatusForbidden, trouble{Heading: "Not allowed", Text: "Sorry, " + err.Error() + "."}
	case errors.Is(err, medispatcher.ErrNotFound):
		status, t = http.StatusNotFound, trouble{Heading: "Not found", Text: err.Error()}
	case errors.As(err, &problems):
		status, t = http.StatusUnprocessableEntity, trouble{Heading: "That cannot be shown", Text: problem.Line(problems)}
	case errors.As(err, &field):
		status, t = http.StatusUnprocessableEntity, trouble{Heading: "That cannot be shown", Text: err.Error()}
	case errors.Is(err, context.Canceled):
		return // the browser is gone
	case errors.As(err, &template):
		status, t = http.StatusInternalServerError, trouble{Heading: "Internal error", Text: "This is a bug in medispatcher. Its log says more. Please report it."}
		p.log.Error("a page cannot be made", "path", r.URL.Path, "error", err)
	}
	if err := p.show(w, r, status, "trouble", t.Heading, t); err != nil {
		p.log.Error("a page cannot be made", "path", r.URL.Path, "error", err)
		problem.Write(w, problem.Internal())
	}
}

// nowhere is the page for an unknown path.
func (p *pages) nowhere(w http.ResponseWriter, r *http.Request) {
	t := trouble{Heading: "No such page", Text: r.URL.Path}
	if err := p.show(w, r, http.StatusNotFound, "trouble", t.Heading, t); err != nil {
		p.log.Error("a page cannot be made", "path", r.URL.Path, "error", err)
	}
}
