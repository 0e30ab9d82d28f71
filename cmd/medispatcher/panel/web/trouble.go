package web

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/cmd/medispatcher/panel/problem"
)

// trouble is shown in place of a page.
type trouble struct {
	Heading, Text string
	Retry         bool // it may go away by itself
}

// fail shows why there is no page.
func (p *pages) fail(w http.ResponseWriter, r *http.Request, err error) {
	status, t := http.StatusServiceUnavailable, trouble{
		Heading: "Redis does not answer or refuses", Text: err.Error(), Retry: true,
	}
	var problems medispatcher.Problems
	var field medispatcher.FieldError
	switch {
	case errors.Is(err, medispatcher.ErrNotFound):
		status, t = http.StatusNotFound, trouble{Heading: "Not there", Text: err.Error()}
	case errors.As(err, &problems), errors.As(err, &field):
		status, t = http.StatusUnprocessableEntity, trouble{Heading: "That cannot be shown", Text: err.Error()}
	case errors.Is(err, context.Canceled):
		return // the browser went on
	case strings.HasPrefix(err.Error(), "page "):
		p.log.Error("a page cannot be made", "path", r.URL.Path, "error", err)
		status, t = http.StatusInternalServerError, trouble{Heading: "A mistake of medispatcher", Text: "Its log says more; please report it."}
	}
	if err := p.show(w, r, status, "trouble", t.Heading, t); err != nil {
		p.log.Error("a page cannot be made", "path", r.URL.Path, "error", err)
		problem.Write(w, problem.New(http.StatusInternalServerError, "a mistake of medispatcher, not of the request; its log says more, please report it"))
	}
}

// nowhere is the page of a path that there is not.
func (p *pages) nowhere(w http.ResponseWriter, r *http.Request) {
	t := trouble{Heading: "There is no such page", Text: r.URL.Path}
	if err := p.show(w, r, http.StatusNotFound, "trouble", t.Heading, t); err != nil {
		p.log.Error("a page cannot be made", "path", r.URL.Path, "error", err)
	}
}
