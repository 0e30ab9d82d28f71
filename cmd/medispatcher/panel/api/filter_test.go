package api_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/solate/medispatcher/cmd/medispatcher/panel"
	"github.com/solate/medispatcher/cmd/medispatcher/panel/paneltest"
	"github.com/solate/medispatcher/internal/filter"
)

// TestTryFilter: a filter is tried on a message that is not published; a wrong one is refused with its place.
func TestTryFilter(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		body   string
		status int
		says   string
	}{
		{`{"filter":"body.total > 100","body":"{\"total\":150}"}`, http.StatusOK, `"matches":true}`},
		{`{"filter":"topic == 'a' && headers['x'] == 'y' && key == 'k'","topic":"a","key":"k","headers":{"x":"y"}}`, http.StatusOK, `"matches":true}`},
		{`{"filter":"body.total > 100","body":"{\"total\":15}"}`, http.StatusOK, `"matches":false}`},
		{`{"filter":"body.total > 100"}`, http.StatusOK, `"matches":true,"error":"no such key: total"}`},
		{`{"filter":"body.total > tot"}`, http.StatusUnprocessableEntity, `"message":"line 1, column 14: undeclared reference to 'tot': body.total > →tot"`},
		{`{"filters":""}`, http.StatusUnprocessableEntity, `unknown field`},
	} {
		w := paneltest.Do(t, paneltest.Handler(paneltest.New("billing"), panel.Config{MaxBody: 1000, Rules: filter.In(paneltest.Rules)}),
			paneltest.Request{Method: http.MethodPost, Path: "/api/v1/filter", Body: tt.body})
		if w.Code != tt.status || !strings.Contains(w.Body.String(), tt.says) {
			t.Errorf("%s: %d %s, want %d and %s", tt.body, w.Code, w.Body, tt.status, tt.says)
		}
	}
}
