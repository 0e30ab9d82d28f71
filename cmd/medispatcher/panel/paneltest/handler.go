package paneltest

import (
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/cmd/internal/access"
	"github.com/solate/medispatcher/cmd/medispatcher/panel"
)

// Rules are those of the configuration.
var Rules = medispatcher.Rules{
	Defaults: medispatcher.DefaultSubscription(), SecretOverlap: time.Hour,
	Max: medispatcher.Subscription{Concurrency: 1500, RetryConcurrency: 60, Timeout: medispatcher.Duration(30 * time.Second)},
}

// Subs is the path of the subscriptions in the API.
const Subs = "/api/v1/subscriptions"

// ErrRedis is what Redis says when it is away.
var ErrRedis = errors.New("redis: connection refused")

// Request is what Do asks.
type Request struct {
	Method, Path, Body string
	Header             []string // name, value, …
}

// Admin is a token that may do everything.
func Admin(secret string) []access.Token {
	return []access.Token{{Name: access.AdminName, Role: access.Admin, Secret: secret}}
}

// Handler is the whole handler on a fake.
func Handler(f *Fake, cfg panel.Config) http.Handler {
	return panel.New(cfg, panel.Deps{
		Registry: f, Store: f, Kicker: f, Alerts: f, Kept: f, Archive: f, Pusher: f, Sessions: f, Router: f.Router, Ready: func() error { return f.fails("ready") }, Log: slog.New(slog.DiscardHandler),
	})
}

// Do asks as a program does. Every refusal must be a problem document.
func Do(t *testing.T, h http.Handler, q Request) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), q.Method, q.Path, strings.NewReader(q.Body))
	r.Host = "localhost:5601"
	for i := 0; i < len(q.Header); i += 2 {
		r.Header.Add(q.Header[i], q.Header[i+1])
	}
	if host := r.Header.Get("Host"); host != "" {
		r.Host = host
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	if w.Header().Get("X-Content-Type-Options") != "nosniff" || w.Header().Get("Cache-Control") != "no-store" {
		t.Errorf("%s %s: headers %v", q.Method, q.Path, w.Header())
	}
	if w.Code >= 400 {
		var p struct {
			Title, Detail string
			Status        int
		}
		if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil || p.Status != w.Code || p.Title == "" || p.Detail == "" ||
			w.Header().Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s %s: no problem document: %d %q %s", q.Method, q.Path, w.Code, w.Header().Get("Content-Type"), w.Body)
		}
	}
	return w
}

// Get asks for a page as a browser does.
func Get(t *testing.T, h http.Handler, path string, header ...string) *httptest.ResponseRecorder {
	t.Helper()
	return Ask(t, h, http.MethodGet, path, header...)
}

// Ask is Get with another method.
func Ask(t *testing.T, h http.Handler, method, path string, header ...string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, "http://localhost:5601"+path, nil)
	r.Header.Set("Accept", "text/html,application/xhtml+xml")
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	if host := r.Header.Get("Host"); host != "" {
		r.Host = host
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// AnyTopic is the subscriptions in force where somebody wants every topic.
func AnyTopic() *medispatcher.Router {
	return medispatcher.NewRouter([]medispatcher.Subscription{{ID: "all", Topic: ">"}})
}
