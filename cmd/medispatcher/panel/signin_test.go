package panel_test

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/solate/medispatcher/cmd/medispatcher/panel"
	"github.com/solate/medispatcher/cmd/medispatcher/panel/auth"
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

	if w := paneltest.Get(t, h, "/subscriptions", "Cookie", cookie, "Host", "panel.example"); w.Code != 200 || !strings.Contains(w.Body.String(), "Sign out") {
		t.Errorf("signed in: %d", w.Code)
	}
	pause := paneltest.Request{Method: "POST", Path: paneltest.Subs + "/billing/pause", Header: []string{"Cookie", cookie, "Host", "panel.example"}}
	if w := paneltest.Do(t, h, pause); w.Code != 401 {
		t.Errorf("a change that does not say where it comes from: %d", w.Code)
	}
	pause.Header = append(pause.Header, "Sec-Fetch-Site", "same-origin")
	if w := paneltest.Do(t, h, pause); w.Code != 200 {
		t.Errorf("a change by a page: %d %s", w.Code, w.Body)
	}
	pause.Header[5] = "same-site"
	if w := paneltest.Do(t, h, pause); w.Code != 403 {
		t.Errorf("a change by another host of the site: %d", w.Code)
	}

	// Every change of the cookie ends it, and so does a changed token.
	for i := len("medis_session="); i < len(cookie); i += 7 {
		other := byte('A')
		if cookie[i] == other {
			other = 'B'
		}
		if w := paneltest.Get(t, h, "/", "Cookie", cookie[:i]+string(other)+cookie[i+1:], "Host", "panel.example"); w.Code != 303 {
			t.Errorf("byte %d of the cookie changed: %d", i, w.Code)
		}
	}
	if w := paneltest.Get(t, paneltest.Handler(paneltest.New(), panel.Config{Tokens: paneltest.Admin("another")}), "/", "Cookie", cookie, "Host", "panel.example"); w.Code != 303 {
		t.Errorf("another token: %d", w.Code)
	}
	if w := paneltest.Get(t, paneltest.Handler(paneltest.New(), panel.Config{Tokens: paneltest.Admin(token)}), "/", "Cookie", cookie, "Host", "panel.example"); w.Code != 200 {
		t.Errorf("another dispatcher with the same token: %d", w.Code)
	}
}

// TestGuessing: wrong tokens slow an address down. The right one is never refused, and other addresses do not wait.
func TestGuessing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := paneltest.New()
		var log strings.Builder
		proxies := auth.Proxies{netip.MustParsePrefix("192.0.2.0/24")}
		h := panel.New(panel.Config{Tokens: paneltest.Admin("s3cret"), Proxies: proxies, Rules: paneltest.Rules}, panel.Deps{
			Registry: f, Store: f, Kicker: f, Alerts: f, Kept: f, Sessions: f, Router: f.Router, Ready: func() error { return nil }, Log: slog.New(slog.NewTextHandler(&log, nil))})
		from := func(client, token string) (code int, took time.Duration) {
			began := time.Now()
			code = signIn(t, h, token, "/", "X-Forwarded-For", client).Code // httptest sends from 192.0.2.1
			return code, time.Since(began)
		}
		all := time.Duration(0)
		for range 30 {
			code, took := from("10.0.0.1", "wrong")
			if all += took; code != 401 || took > 3*time.Second {
				t.Errorf("a try: %d after %v", code, took)
			}
		}
		if all < 15*time.Second {
			t.Errorf("30 tries took %v", all)
		}
		if code, took := from("10.0.0.1", "s3cret"); code != 303 || took == 0 || took > 3*time.Second {
			t.Errorf("the right token after it: %d in %v", code, took)
		}
		if code, took := from("10.0.0.2", "s3cret"); code != 303 || took != 0 {
			t.Errorf("somebody else behind the same proxy: %d in %v", code, took)
		}
		if !strings.Contains(log.String(), `msg="signed in" name=admin role=admin from=10.0.0.2`) || strings.Contains(log.String(), "s3cret") || strings.Contains(log.String(), "wrong-token") {
			t.Errorf("the log: %s", log.String())
		}
	})
}

// TestSignOut: a session that was ended is refused by every dispatcher, and stays ended while Redis is away.
func TestSignOut(t *testing.T) {
	f := paneltest.New("billing")
	here, there := paneltest.Handler(f, panel.Config{Tokens: paneltest.Admin("s3cret")}), paneltest.Handler(f, panel.Config{Tokens: paneltest.Admin("s3cret")})
	in := func(h http.Handler, cookie string) bool {
		return paneltest.Get(t, h, "/", "Cookie", cookie, "Host", "panel.example").Code == 200
	}
	session := func() string {
		cookie, _, _ := strings.Cut(signIn(t, here, "s3cret", "/").Header().Get("Set-Cookie"), ";")
		if !in(here, cookie) || !in(there, cookie) {
			t.Fatal("not signed in")
		}
		return cookie
	}
	out := func(cookie string) int {
		return signOut(t, here, cookie).Code
	}
	first, second := session(), session()
	if code := out(first); code != 303 || in(here, first) || in(there, first) {
		t.Errorf("signed out (%d): here %v, there %v", code, in(here, first), in(there, first))
	}
	if !in(there, second) {
		t.Error("another session ended, too")
	}
	f.Broken, f.Err = "sessions", paneltest.ErrRedis
	if in(here, first) || in(there, first) || !in(here, second) {
		t.Error("while Redis is away, sessions come back or end")
	}
	if code := out(second); code != 503 || in(here, second) {
		t.Errorf("signing out while Redis is away: %d, here %v", code, in(here, second))
	}
	var what []string
	for _, d := range f.Noted {
		what = append(what, d.What+" by "+d.By+" from "+d.From)
	}
	if got := strings.Join(what, "; "); got != "sign-in by panel admin from 192.0.2.1; sign-in by panel admin from 192.0.2.1; sign-out by panel admin from 192.0.2.1" {
		t.Error(got)
	}
}

// TestCookieIsGoodForOnePage: other pages of the host, at other ports, cannot use a session.
func TestCookieIsGoodForOnePage(t *testing.T) {
	h := paneltest.Handler(paneltest.New("billing"), panel.Config{Tokens: paneltest.Admin("s3cret"), Rules: paneltest.Rules})
	cookie, _, _ := strings.Cut(signIn(t, h, "s3cret", "/").Header().Get("Set-Cookie"), ";")
	secure, _, _ := strings.Cut(signIn(t, h, "s3cret", "/", "X-Forwarded-Proto", "https").Header().Get("Set-Cookie"), ";")
	if !strings.HasPrefix(secure, "__Host-medis_session=") || !strings.HasPrefix(cookie, "medis_session=") {
		t.Fatal(secure, cookie)
	}
	for name, test := range map[string]struct {
		header []string
		in     bool
	}{
		"a program":                     {[]string{"Cookie", cookie}, true},
		"its own page":                  {[]string{"Cookie", cookie, "Sec-Fetch-Site", "same-origin"}, true},
		"a link from another port":      {[]string{"Cookie", cookie, "Sec-Fetch-Site", "same-site", "Sec-Fetch-Mode", "navigate"}, true},
		"a page at another port":        {[]string{"Cookie", cookie, "Sec-Fetch-Site", "same-site", "Sec-Fetch-Mode", "cors"}, false},
		"an old browser, another port":  {[]string{"Cookie", cookie, "Origin", "http://panel.example:8080"}, false},
		"an old browser, its own":       {[]string{"Cookie", cookie, "Origin", "http://panel.example"}, true},
		"made for another port":         {[]string{"Cookie", cookie, "Host", "panel.example:8080"}, false},
		"over TLS":                      {[]string{"Cookie", secure, "X-Forwarded-Proto", "https", "Host", "rewritten:1"}, true},
		"set over HTTP, used over TLS":  {[]string{"Cookie", cookie, "X-Forwarded-Proto", "https"}, false},
		"renamed, used over TLS":        {[]string{"Cookie", "__Host-" + cookie, "X-Forwarded-Proto", "https"}, false},
		"set over TLS, used over HTTP":  {[]string{"Cookie", secure}, false},
		"renamed, used over plain HTTP": {[]string{"Cookie", strings.TrimPrefix(secure, "__Host-")}, false},
	} {
		if !slices.Contains(test.header, "Host") {
			test.header = append(test.header, "Host", "panel.example")
		}
		if w := paneltest.Get(t, h, "/subscriptions", test.header...); (w.Code == 200) != test.in {
			t.Errorf("%s: %d", name, w.Code)
		}
	}
}

func signOut(t *testing.T, h http.Handler, cookie string) *httptest.ResponseRecorder {
	t.Helper()
	return paneltest.Ask(t, h, http.MethodPost, "/signout", "Cookie", cookie, "Host", "panel.example", "Sec-Fetch-Site", "same-origin")
}
