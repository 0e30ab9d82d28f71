package api_test

import (
	"strings"
	"testing"
	"time"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/cmd/medispatcher/panel"
	"github.com/solate/medispatcher/cmd/medispatcher/panel/paneltest"
)

type request = paneltest.Request

const subs = paneltest.Subs

// routeTest is a request and what comes of it.
type routeTest struct {
	name   string
	q      request
	broken string // the step that fails
	err    error  // nil: because Redis is away
	counts medispatcher.ChannelStatus
	status int

	arriving     int64
	held, paused bool

	says  []string // in the body, or "Header: value"
	steps string   // changes, joined by commas
}

// check makes each request on a fake of its own, which prepare may fill.
func check(t *testing.T, prepare func(*paneltest.Fake), tests []routeTest) {
	t.Helper()
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f := paneltest.New("billing")
			f.Broken, f.Err, f.Counts, f.Arriving = tt.broken, tt.err, tt.counts, tt.arriving
			if f.Err == nil {
				f.Err = paneltest.ErrRedis
			}
			if prepare != nil {
				prepare(f)
			}
			if tt.held {
				f.Held = []medispatcher.Breaker{{Subscription: "billing", Since: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}}
			}
			if tt.paused {
				f.Docs["billing"] = strings.Replace(f.Docs["billing"], "{", `{"paused":true,`, 1)
			}
			w := paneltest.Do(t, paneltest.Handler(f, panel.Config{MaxBody: 100, Rules: paneltest.Rules}), tt.q)
			if w.Code != tt.status {
				t.Fatalf("%d, want %d: %s", w.Code, tt.status, w.Body)
			}
			for _, want := range tt.says {
				name, value, isHeader := strings.Cut(want, ": ")
				if isHeader && strings.HasPrefix(w.Header().Get(name), value) && w.Header().Get(name) != "" {
					continue
				}
				if !strings.Contains(w.Body.String(), want) {
					t.Errorf("no %s in %v %s", want, w.Header(), w.Body)
				}
			}
			for _, secret := range []string{"MDEyMz", "$schema", "goroutine", "the store is broken"} {
				if strings.Contains(w.Body.String(), secret) {
					t.Errorf("the answer shows %q: %s", secret, w.Body)
				}
			}
			if steps := strings.Join(f.Steps, ","); steps != tt.steps {
				t.Errorf("steps %q, want %q", steps, tt.steps)
			}
			if w.Code >= 400 && len(f.Published) > 0 {
				t.Errorf("published %v", f.Published)
			}
		})
	}
}
