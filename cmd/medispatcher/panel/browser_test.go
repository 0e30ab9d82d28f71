package panel_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/solate/medispatcher/cmd/medispatcher/panel"
	"github.com/solate/medispatcher/cmd/medispatcher/panel/paneltest"
)

// TestPanelWithoutTokenAnswersToLocalNames: a page elsewhere whose name points to 127.0.0.1 reads nothing.
func TestPanelWithoutTokenAnswersToLocalNames(t *testing.T) {
	f := paneltest.New("billing")
	for host, want := range map[string]int{
		"localhost": 200, "localhost:5601": 200, "LOCALHOST.": 200, "127.0.0.1:5601": 200, "127.8.8.8": 200, "[::1]:5601": 200, "panel.localhost:1": 200,
		"evil.example": 421, "evil.example:5601": 421, "127.0.0.1.evil.example": 421, "10.0.0.7:5601": 421, "localhost.evil.example": 421,
	} {
		for _, path := range []string{"/", "/api/v1/status"} {
			r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil)
			r.Host = host
			w := httptest.NewRecorder()
			paneltest.Handler(f, panel.Config{Rules: paneltest.Rules}).ServeHTTP(w, r)
			if w.Code != want {
				t.Errorf("Host %s, %s: %d, want %d", host, path, w.Code, want)
			}
		}
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/healthz", nil)
		r.Host = host
		w := httptest.NewRecorder()
		paneltest.Handler(f, panel.Config{Rules: paneltest.Rules}).ServeHTTP(w, r)
		if w.Code != 200 {
			t.Errorf("Host %s: /healthz %d", host, w.Code)
		}
	}
}
