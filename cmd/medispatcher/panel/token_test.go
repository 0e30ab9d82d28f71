package panel_test

import (
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"github.com/solate/medispatcher/cmd/medispatcher/panel"
	"github.com/solate/medispatcher/cmd/medispatcher/panel/paneltest"
)

func TestToken(t *testing.T) {
	var h http.Handler
	for _, path := range []string{paneltest.Subs, "/api/v1/status", "/openapi.json", "/nowhere", "/healthz/", "/"} {
		h = paneltest.Handler(paneltest.New("billing"), panel.Config{Tokens: paneltest.Admin("s3cret")}) // a new one: too many wrong tokens are answered otherwise
		for _, given := range []string{"", "s3cret", "Bearer", "Bearer ", "Bearer s3cre", "Bearer s3cret2", "Basic s3cret", "Bearer  wrong"} {
			q := paneltest.Request{Method: "GET", Path: path}
			if given != "" {
				q.Header = []string{"Authorization", given}
			}
			w := paneltest.Do(t, h, q)
			if w.Code != http.StatusUnauthorized || !strings.HasPrefix(w.Header().Get("WWW-Authenticate"), "Bearer") ||
				!strings.Contains(w.Body.String(), "MEDIS_ADMIN_TOKEN") {
				t.Errorf("%s with %q: %d %v %s", path, given, w.Code, w.Header(), w.Body)
			}
		}
	}
	for _, given := range []string{"Bearer s3cret", "bearer s3cret", "Bearer  s3cret"} {
		if w := paneltest.Do(t, h, paneltest.Request{Method: "GET", Path: paneltest.Subs, Header: []string{"Authorization", given}}); w.Code != http.StatusOK {
			t.Errorf("%q: %d", given, w.Code)
		}
	}
	for _, path := range []string{"/healthz", "/readyz"} {
		if w := paneltest.Do(t, h, paneltest.Request{Method: "GET", Path: path}); w.Code != http.StatusOK {
			t.Errorf("%s needs a token: %d", path, w.Code)
		}
	}
	if w := paneltest.Do(t, h, paneltest.Request{Method: "GET", Path: "/nowhere", Header: []string{"Authorization", "Bearer s3cret"}}); w.Code != http.StatusNotFound {
		t.Errorf("unknown route: %d", w.Code)
	}
}

// TestWrongTokens: a client with a wrong token is slowed down, one with the right token is not, from the same address.
func TestWrongTokens(t *testing.T) {
	const token = "the-right-token-of-it"
	var log strings.Builder
	f := paneltest.New()
	h := panel.New(panel.Config{Tokens: paneltest.Admin(token)}, panel.Deps{Registry: f, Store: f, Kicker: f, Alerts: f, Kept: f, Sessions: f, Router: paneltest.AnyTopic, Log: slog.New(slog.NewTextHandler(&log, nil))})
	codes := map[int]int{}
	for range 50 {
		codes[paneltest.Get(t, h, paneltest.Subs, "Authorization", "Bearer another-"+token).Code]++
	}
	if codes[401] < 10 || codes[429] < 30 || strings.Contains(log.String(), token) || strings.Count(log.String(), "a wrong token") < 10 || strings.Count(log.String(), "a wrong token") > 15 {
		t.Errorf("answers %v, log\n%s", codes, log.String())
	}
	if w := paneltest.Get(t, h, paneltest.Subs, "Authorization", "Bearer "+token); w.Code != 200 {
		t.Errorf("the right token: %d", w.Code)
	}
	if w := paneltest.Get(t, h, paneltest.Subs); w.Code != 401 {
		t.Errorf("no token: %d", w.Code)
	}
}
