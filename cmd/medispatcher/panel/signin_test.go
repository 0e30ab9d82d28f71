package panel_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/solate/medispatcher/cmd/medispatcher/panel"
	"github.com/solate/medispatcher/cmd/medispatcher/panel/paneltest"
)

// signIn posts a token and returns the answer.
func signIn(t *testing.T, h http.Handler, token, next string, header ...string) *httptest.ResponseRecorder {
	t.Helper()
	form := url.Values{"token": {token}, "next": {next}}.Encode()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "http://panel.example/signin", strings.NewReader(form))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestSignIn(t *testing.T) {
	const token = "s3cret"
	h := paneltest.Handler(paneltest.New("billing"), panel.Config{Tokens: paneltest.Admin(token), Rules: paneltest.Rules})

	for path, to := range map[string]string{"/": "/signin", "/subscriptions?q=a&page=2": "/signin?next=%2Fsubscriptions%3Fq%3Da%26page%3D2"} {
		if w := paneltest.Get(t, h, path); w.Code != 303 || w.Header().Get("Location") != to {
			t.Errorf("%s: %d %s", path, w.Code, w.Header().Get("Location"))
		}
	}
	if w := paneltest.Get(t, h, "/api/v1/status"); w.Code != 401 || w.Header().Get("Content-Type") != "application/problem+json" {
		t.Errorf("the API: %d %v", w.Code, w.Header())
	}
	if w := signIn(t, h, "wrong", "/"); w.Code != 401 || w.Header().Get("Set-Cookie") != "" || !strings.Contains(w.Body.String(), "That is not a token") {
		t.Errorf("a wrong token: %d %v", w.Code, w.Header())
	}
	for next, to := range map[string]string{
		"/dead?x=1": "/dead?x=1", "": "/", "//evil.example": "/", "https://evil.example/": "/", `/\evil.example`: "/", "/signin": "/", "javascript:alert(1)": "/", "/\t/evil": "/",
	} {
		if w := signIn(t, paneltest.Handler(paneltest.New(), panel.Config{Tokens: paneltest.Admin(token)}), token, next); w.Code != 303 || w.Header().Get("Location") != to {
			t.Errorf("next %q: %d to %q, want %q", next, w.Code, w.Header().Get("Location"), to)
		}
	}
	if w := signIn(t, h, token, "/", "X-Forwarded-Proto", "https"); !strings.Contains(w.Header().Get("Set-Cookie"), "; Secure") {
		t.Errorf("behind TLS: %s", w.Header().Get("Set-Cookie"))
	}
	if w := signIn(t, h, token, "/", "Origin", "http://evil.example"); w.Code != 403 {
		t.Errorf("from another site: %d", w.Code)
	}
	w := signIn(t, h, token, "/")
	set := w.Header().Get("Set-Cookie")
	for _, want := range []string{"HttpOnly", "SameSite=Strict", "Path=/", "Max-Age=43200"} {
		if !strings.Contains(set, want) {
			t.Errorf("the cookie is not %s: %s", want, set)
		}
	}
	if strings.Contains(set, token) || strings.Contains(set, "Secure") {
		t.Errorf("the cookie: %s", set)
	}
	cookie, _, _ := strings.Cut(set, ";")

	if w := paneltest.Get(t, h, "/subscriptions", "Cookie", cookie); w.Code != 200 || !strings.Contains(w.Body.String(), "Sign out") {
		t.Errorf("signed in: %d", w.Code)
	}
	pause := paneltest.Request{Method: "POST", Path: paneltest.Subs + "/billing/pause", Header: []string{"Cookie", cookie}}
	if w := paneltest.Do(t, h, pause); w.Code != 401 {
		t.Errorf("a change that does not say where it comes from: %d", w.Code)
	}
	pause.Header = append(pause.Header, "Sec-Fetch-Site", "same-origin")
	if w := paneltest.Do(t, h, pause); w.Code != 200 {
		t.Errorf("a change by a page: %d %s", w.Code, w.Body)
	}
	pause.Header[3] = "same-site"
	if w := paneltest.Do(t, h, pause); w.Code != 403 {
		t.Errorf("a change by another host of the site: %d", w.Code)
	}

	// Every change of the cookie ends it, and so does a changed token.
	for i := len("medis_session="); i < len(cookie); i += 7 {
		other := byte('A')
		if cookie[i] == other {
			other = 'B'
		}
		if w := paneltest.Get(t, h, "/", "Cookie", cookie[:i]+string(other)+cookie[i+1:]); w.Code != 303 {
			t.Errorf("byte %d of the cookie changed: %d", i, w.Code)
		}
	}
	if w := paneltest.Get(t, paneltest.Handler(paneltest.New(), panel.Config{Tokens: paneltest.Admin("another")}), "/", "Cookie", cookie); w.Code != 303 {
		t.Errorf("another token: %d", w.Code)
	}
	if w := paneltest.Get(t, paneltest.Handler(paneltest.New(), panel.Config{Tokens: paneltest.Admin(token)}), "/", "Cookie", cookie); w.Code != 200 {
		t.Errorf("another dispatcher with the same token: %d", w.Code)
	}

	// Guessing is slowed down, even when it comes upon the token.
	code := 0
	for range 20 {
		code = signIn(t, h, "wrong", "/").Code
	}
	if code != 429 {
		t.Errorf("guessing: %d", code)
	}
}
