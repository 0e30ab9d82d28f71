package api_test

import (
	"encoding/json"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/cmd/internal/access"
	"github.com/solate/medispatcher/cmd/medispatcher/panel/api"
	"github.com/solate/medispatcher/cmd/medispatcher/panel/auth"
	"github.com/solate/medispatcher/cmd/medispatcher/panel/paneltest"
)

// recorder notes the patterns that are registered on a mux.
type recorder struct {
	*http.ServeMux
	patterns []string
}

func (r *recorder) HandleFunc(pattern string, h func(http.ResponseWriter, *http.Request)) {
	r.patterns = append(r.patterns, pattern)
	r.ServeMux.HandleFunc(pattern, h)
}

type openAPI struct {
	OpenAPI string `json:"openapi"`
	Info    struct {
		Title, Version string
	}
	Paths map[string]map[string]struct {
		OperationID string `json:"operationId"`
		Summary     string
		Tags        []string
		Responses   map[string]any
		Security    []map[string][]string
		RequestBody any         `json:"requestBody"`
		Role        access.Role `json:"x-role"`
	}
	Components struct {
		Schemas map[string]struct {
			Required   []string
			Properties map[string]struct {
				Description string
				Default     any
				Maximum     float64
			}
		}
	}
}

func document(t *testing.T, h http.Handler) openAPI {
	t.Helper()
	w := httptest.NewRecorder()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/openapi.json", nil)
	h.ServeHTTP(w, r)
	if w.Code != http.StatusOK || w.Header().Get("Content-Type") != "application/openapi+json" {
		t.Fatalf("%d %s", w.Code, w.Header())
	}
	var doc openAPI
	if err := json.Unmarshal(w.Body.Bytes(), &doc); err != nil {
		t.Fatalf("not JSON: %v", err)
	}
	return doc
}

// register registers the API on mux, with a fake on which every request succeeds.
func register(mux humago.Mux) {
	f := paneltest.New("billing")
	f.Letters = []medispatcher.DeadLetter{{ID: "0-1-1"}}
	f.Kept = map[medispatcher.KeptPlace][]medispatcher.Kept{}
	for _, place := range medispatcher.KeptPlaces {
		f.Kept[place] = []medispatcher.Kept{{ID: "0-1-1"}}
	}
	api.Register(mux, api.Config{MaxBody: 100, Version: "1.2.3", NeedsToken: true, Rules: paneltest.Rules}, api.Deps{
		Registry: f, Store: f, Kicker: f, Alerts: f, Kept: f, Archive: f, Pusher: f, Router: f.Router, Ready: func() error { return nil }, Log: slog.New(slog.DiscardHandler),
	})
}

func apiHandler() http.Handler {
	mux := http.NewServeMux()
	register(mux)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mux.ServeHTTP(w, r.WithContext(auth.With(r.Context(), auth.Visitor{Name: "ann", Role: access.Admin, By: auth.ByAPI})))
	})
}

func TestDocumentHoldsEveryRouteAndEveryRouteAnswers(t *testing.T) {
	doc := document(t, apiHandler())
	if !strings.HasPrefix(doc.OpenAPI, "3.1") || doc.Info.Version != "1.2.3" {
		t.Errorf("openapi %q, version %q", doc.OpenAPI, doc.Info.Version)
	}

	mux := &recorder{ServeMux: http.NewServeMux()}
	register(mux)
	var documented []string
	for path, operations := range doc.Paths {
		for method := range operations {
			documented = append(documented, strings.ToUpper(method)+" "+path)
		}
	}
	slices.Sort(documented)
	slices.Sort(mux.patterns)
	if !slices.Equal(documented, mux.patterns) {
		t.Errorf("documented %q\nregistered %q", documented, mux.patterns)
	}

	ids := map[string]bool{}
	fill := strings.NewReplacer("{topic}", "order.created", "{id}", "billing", "{letter}", "0-1-1", "{message}", "0-1-1", "/messages/{id}", "/messages/m-1")
	for path, operations := range doc.Paths {
		for method, op := range operations {
			if op.OperationID == "" || ids[op.OperationID] || op.Summary == "" || len(op.Tags) == 0 {
				t.Errorf("%s %s: no or a second operation id, no summary or no tag: %+v", method, path, op)
			}
			ids[op.OperationID] = true
			open := path == api.HealthPath || path == api.ReadyPath
			if open == (len(op.Security) > 0) || open == (op.Responses["401"] != nil) {
				t.Errorf("%s %s: security %v, open %v", method, path, op.Security, open)
			}
			if takesBody := op.RequestBody != nil; takesBody != slices.Contains([]string{"publish-message", "publish-events", "put-subscription", "put-subscriptions", "patch-subscription", "replay-dead-letters", "replay-unrouted", "replay-quarantine", "try-filter", "replay-subscription", "test-subscription", "patch-subscriptions", "pause-subscriptions", "resume-subscriptions"}, op.OperationID) {
				t.Errorf("%s: body documented: %v", op.OperationID, takesBody)
			}
			body := "{}"
			if op.OperationID == "put-subscription" {
				body = `{"topic":"order.*","urls":["http://h/"]}`
			}
			switch op.OperationID {
			case "patch-subscriptions":
				body = `{"ids":["billing"],"patch":{"concurrency":3}}`
			case "pause-subscriptions", "resume-subscriptions":
				body = `{"ids":["billing"]}`
			}
			if op.OperationID == "put-subscriptions" {
				body = `{"id":"new","topic":"order.*","urls":["http://h/"]}`
			}
			if op.OperationID == "replay-subscription" {
				body = `{"since":"2h"}`
			}
			w := httptest.NewRecorder()
			r := httptest.NewRequestWithContext(t.Context(), strings.ToUpper(method), fill.Replace(path), strings.NewReader(body))
			if op.OperationID == "publish-events" {
				r.Body, r.ContentLength = io.NopCloser(strings.NewReader("[]")), 2
				r.Header.Set("Content-Type", batchJSON)
			}
			apiHandler().ServeHTTP(w, r) // a new one: nothing was purged yet
			if w.Code >= 300 || op.Responses[strconv.Itoa(w.Code)] == nil {
				t.Errorf("%s %s answers %d %s; documented: %v", method, path, w.Code, w.Body, slices.Collect(maps.Keys(op.Responses)))
			}
		}
	}
}

func TestDocumentShowsEveryFieldOfASubscription(t *testing.T) {
	doc := document(t, apiHandler())
	schemas, n := map[string]string{"": "Subscription"}, 0 // by the object that has it
	for _, f := range medispatcher.Fields() {
		parent, name := "", f.Name
		if at := strings.LastIndex(name, "."); at >= 0 {
			parent, name = name[:at], name[at+1:]
		}
		p, documented := doc.Components.Schemas[schemas[parent]].Properties[name]
		if !documented || !strings.HasPrefix(p.Description, f.Help) {
			t.Errorf("%s has no property %s that says %q: %+v", schemas[parent], name, f.Help, p)
		}
		if parent == "" {
			n++
		}
		schemas[f.Name] = f.Schema
	}
	if whole, patch := doc.Components.Schemas["Subscription"], doc.Components.Schemas["SubscriptionPatch"]; len(whole.Properties) != n || len(patch.Properties) != n {
		t.Errorf("%d and %d properties; want the %d fields alone", len(whole.Properties), len(patch.Properties), n)
	}
	s := doc.Components.Schemas["Subscription"]
	if p := s.Properties["concurrency"]; p.Default != 8.0 || p.Maximum != 1500 {
		t.Errorf("concurrency: %+v", p)
	}
	if p := s.Properties["timeout"]; p.Default != "5s" {
		t.Errorf("timeout: %+v", p)
	}
	if p := doc.Components.Schemas["AlertPolicy"].Properties["backlog"]; p.Default != 5000.0 {
		t.Errorf("alert.backlog: %+v", p)
	}
	if !slices.Equal(s.Required, []string{"topic", "urls"}) || len(doc.Components.Schemas["SubscriptionPatch"].Required) > 0 {
		t.Errorf("required: %v", s.Required)
	}
}
