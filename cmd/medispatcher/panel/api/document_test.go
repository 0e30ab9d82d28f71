package api

import (
	"context"
	"encoding/json"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/solate/medispatcher"
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

// still is a registry and a store of one subscription that never changes.
type still struct{}

var stillSub = medispatcher.Subscription{ID: "billing", Topic: "order.*", URLs: []string{"http://h/"}}

func (still) Subscriptions(context.Context) ([]medispatcher.Subscription, int64, error) {
	return []medispatcher.Subscription{stillSub}, 1, nil
}

func (still) Get(context.Context, string) (medispatcher.Subscription, string, error) {
	return stillSub, "r1", nil
}

func (still) Put(context.Context, string, []byte, string) (medispatcher.Subscription, string, bool, error) {
	return stillSub, "r1", false, nil
}

func (still) Patch(context.Context, string, []byte, string) (medispatcher.Subscription, string, error) {
	return stillSub, "r1", nil
}

func (still) Failing(context.Context, string, int) ([]medispatcher.Failing, error) { return nil, nil }
func (still) Topics(context.Context) ([]string, bool, error)                       { return nil, false, nil }

func (still) Stats(_ context.Context, subs, topics []string) (medispatcher.Stats, error) {
	return medispatcher.Stats{Topics: make([]medispatcher.TopicStats, len(topics)), Subscriptions: make([]medispatcher.SubscriptionStats, len(subs))}, nil
}

func (still) SubscriptionSeries(context.Context, string, string) (medispatcher.Series, error) {
	return medispatcher.Series{}, nil
}

func (still) Story(context.Context, string, []string) (medispatcher.Story, error) {
	return medispatcher.Story{ID: "0-1-0", Places: []medispatcher.Place{{State: medispatcher.Ready}}, Events: []medispatcher.Event{}}, nil
}

func (still) Changes(context.Context, string, string, int) ([]medispatcher.Change, error) {
	return nil, nil
}

func (still) Alerts(context.Context) (a medispatcher.Alerts, _ error) { return a, nil }

func (still) TestAlert(context.Context, string) ([]medispatcher.Receipt, error) {
	return []medispatcher.Receipt{{}}, nil
}

func (still) Remove(context.Context, string, string) error                            { return nil }
func (still) Publish(context.Context, medispatcher.Message) (string, error)           { return "1", nil }
func (still) Kick(context.Context, string) (int, error)                               { return 1, nil }
func (still) Purge(context.Context, string) (ready, buried int64, err error)          { return 1, 2, nil }
func (still) Dispatchers(context.Context) ([]medispatcher.Dispatcher, error)          { return nil, nil }
func (still) IncomingStatus(context.Context) (s medispatcher.IncomingStatus, _ error) { return s, nil }

func (still) ChannelStatus(_ context.Context, ids []string) ([]medispatcher.ChannelStatus, error) {
	return make([]medispatcher.ChannelStatus, len(ids)), nil
}

func (still) Discard(context.Context, string, bool) (s medispatcher.ChannelStatus, _ error) {
	return s, nil
}

func (still) DeadLetters(context.Context, string, string, int) ([]medispatcher.DeadLetter, error) {
	return nil, nil
}

func (still) DeadLetter(context.Context, string, string) (l medispatcher.DeadLetter, _ error) {
	return l, nil
}

func (still) Replay(_ context.Context, _ string, ids []string) (int, error)    { return len(ids), nil }
func (still) PurgeDead(_ context.Context, _ string, ids []string) (int, error) { return len(ids), nil }

func (still) ReplayAll(context.Context, string, func(done, all int64) bool) (done, left int64, err error) {
	return 1, 0, nil
}

func (still) PurgeAllDead(context.Context, string, func(done, all int64) bool) (done, left int64, err error) {
	return 1, 0, nil
}

func (still) ListKept(context.Context, medispatcher.KeptPlace, medispatcher.KeptQuery) ([]medispatcher.Kept, error) {
	return nil, nil
}

func (still) ReadKept(context.Context, medispatcher.KeptPlace, string) (k medispatcher.Kept, _ error) {
	return k, nil
}

func (still) ReplayKept(context.Context, medispatcher.KeptPlace, []string) (d medispatcher.KeptDone, _ error) {
	return d, nil
}

func (still) ReplayAllKept(context.Context, medispatcher.KeptPlace, func(done, all int64) bool) (d medispatcher.KeptDone, _ error) {
	return d, nil
}

func (still) PurgeKept(_ context.Context, _ medispatcher.KeptPlace, ids []string) (int, error) {
	return len(ids), nil
}

func (still) PurgeAllKept(context.Context, medispatcher.KeptPlace, func(done, all int64) bool) (done, left int64, err error) {
	return 1, 0, nil
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
		RequestBody any `json:"requestBody"`
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

var testRules = medispatcher.Rules{
	Defaults: medispatcher.Subscription{
		Concurrency: 8, RetryConcurrency: 2, Timeout: medispatcher.Duration(5 * time.Second), MaxRetries: 10,
		RetryCoefficient: medispatcher.Duration(10 * time.Second), Encoding: medispatcher.EncodingJSON,
		Drop: medispatcher.DropPolicy{Action: medispatcher.DropKeep}, Alert: medispatcher.DefaultAlert(),
	},
	MaxConcurrency: 1500, MaxRetryConcurrency: 60, MaxTimeout: 30 * time.Second, SecretOverlap: time.Hour,
}

func document(t *testing.T, h http.Handler) openAPI {
	t.Helper()
	w := httptest.NewRecorder()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/openapi.json", nil)
	r.Header.Set("Authorization", "Bearer s3cret")
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

func stillHandler() http.Handler {
	mux := http.NewServeMux()
	Register(mux, Config{MaxBody: 100, Version: "1.2.3", NeedsToken: true, Rules: testRules}, Deps{
		Registry: still{}, Store: still{}, Kicker: still{}, Alerts: still{}, Kept: still{}, Router: func() *medispatcher.Router { return medispatcher.NewRouter(nil) }, Ready: func() error { return nil }, Log: slog.New(slog.DiscardHandler),
	})
	return mux
}

func TestDocumentHoldsEveryRouteAndEveryRouteAnswers(t *testing.T) {
	h := stillHandler()
	doc := document(t, h)
	if !strings.HasPrefix(doc.OpenAPI, "3.1") || doc.Info.Version != "1.2.3" {
		t.Errorf("openapi %q, version %q", doc.OpenAPI, doc.Info.Version)
	}

	mux := &recorder{ServeMux: http.NewServeMux()}
	Register(mux, Config{MaxBody: 1}, Deps{})
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
	fill := strings.NewReplacer("{topic}", "order.created", "{id}", "billing", "{letter}", "0-1-1", "{message}", "0-1-1")
	for path, operations := range doc.Paths {
		for method, op := range operations {
			if op.OperationID == "" || ids[op.OperationID] || op.Summary == "" || len(op.Tags) == 0 {
				t.Errorf("%s %s: no or a second operation id, no summary or no tag: %+v", method, path, op)
			}
			ids[op.OperationID] = true
			open := path == HealthPath || path == ReadyPath
			if open == (len(op.Security) > 0) || open == (op.Responses["401"] != nil) {
				t.Errorf("%s %s: security %v, open %v", method, path, op.Security, open)
			}
			if takesBody := op.RequestBody != nil; takesBody != slices.Contains([]string{"publish-message", "put-subscription", "patch-subscription", "replay-dead-letters", "replay-unrouted", "replay-quarantine"}, op.OperationID) {
				t.Errorf("%s: body documented: %v", op.OperationID, takesBody)
			}
			w := httptest.NewRecorder()
			r := httptest.NewRequestWithContext(t.Context(), strings.ToUpper(method), fill.Replace(path), strings.NewReader("{}"))
			r.Header.Set("Authorization", "Bearer s3cret")
			h.ServeHTTP(w, r)
			if w.Code >= 300 || op.Responses[strconv.Itoa(w.Code)] == nil {
				t.Errorf("%s %s answers %d %s; documented: %v", method, path, w.Code, w.Body, slices.Collect(maps.Keys(op.Responses)))
			}
		}
	}
}

func TestDocumentShowsEveryFieldOfASubscription(t *testing.T) {
	doc := document(t, stillHandler())
	sub := exampleSubscription
	for name, fields := range map[string]map[string]any{
		"Subscription": fieldsOf(sub), "SubscriptionPatch": fieldsOf(sub),
		"DropPolicy": fieldsOf(sub.Drop), "AlertPolicy": fieldsOf(sub.Alert),
	} {
		schema := doc.Components.Schemas[name]
		want, got := slices.Sorted(maps.Keys(fields)), slices.Sorted(maps.Keys(schema.Properties))
		if !slices.Equal(want, got) {
			t.Errorf("%s has %v; documented: %v", name, want, got)
		}
		for field, p := range schema.Properties {
			if p.Description == "" && field != "drop" && field != "alert" { // a $ref has its own
				t.Errorf("%s.%s has no description", name, field)
			}
		}
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
