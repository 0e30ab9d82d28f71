package web

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/solate/medispatcher"
)

// TestTrouble: each kind of error has its page, and a bug says nothing of itself but that it is one.
func TestTrouble(t *testing.T) {
	problems := medispatcher.Problems{{Field: "a", Problem: "is one"}, {Field: "b", Problem: "is two"}}
	for name, test := range map[string]struct {
		err    error
		status int
		says   string
	}{
		"not found": {medispatcher.ErrNotFound, http.StatusNotFound, "Not found"},
		"problems":  {problems, http.StatusUnprocessableEntity, "a: is one; b: is two"},
		"a field":   {problems[0], http.StatusUnprocessableEntity, "a: is one"},
		"a bug":     {&templateError{"overview", errors.New("secret")}, http.StatusInternalServerError, "This is a bug in medispatcher."},
		"Redis":     {errors.New("connection refused"), http.StatusServiceUnavailable, "connection refused"},
	} {
		t.Run(name, func(t *testing.T) {
			p := &pages{log: slog.New(slog.DiscardHandler), static: embedded()}
			w := httptest.NewRecorder()
			p.fail(w, httptest.NewRequestWithContext(context.Background(), http.MethodGet, "/", nil), test.err)
			if w.Code != test.status || !strings.Contains(w.Body.String(), test.says) || strings.Contains(w.Body.String(), "secret") {
				t.Errorf("%d %s", w.Code, w.Body)
			}
		})
	}
}
