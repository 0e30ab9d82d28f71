package web_test

import (
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/cmd/medispatcher/panel"
	"github.com/solate/medispatcher/cmd/medispatcher/panel/paneltest"
)

// hostile is what somebody might write into everything that a message may hold.
const hostile = `<script>hacked()</script><img src=x onerror=hacked()>"'` + "`" + `{{.}}\x1b[31m` + "\x1b[31m\x00\u202egnp.exe\u2028\x85"

func hostileFake() *paneltest.Fake {
	f := paneltest.New("billing")
	f.Docs["billing"] = `{"topic":"order.*","urls":["http://h/?q=<script>hacked()</script>\"'"],"headers":{"x-evil":"\"><script>hacked()</script>"}}`
	failure := &medispatcher.Failure{Attempts: 3, FirstError: hostile, LastError: hostile, Target: "http://h/" + hostile, FirstAt: time.Now().Add(-time.Hour), LastAt: time.Now()}
	m := medispatcher.Message{
		ID: hostile, Topic: "order.created", Sender: hostile, Key: hostile, Type: hostile, Body: []byte(hostile + strings.Repeat("🦄", 1<<18)),
		Headers: map[string]string{"x": hostile, "y": strings.Repeat("<b>", 5000)}, Time: time.Now(),
	}
	f.Letters = []medispatcher.DeadLetter{
		{ID: "0-1-0", Died: time.Now(), Message: m, Failure: failure},
		{ID: "0-2-0", Died: time.Now(), Message: medispatcher.Message{ID: "binary", Topic: "order.x", Body: []byte("\xff\xfe\x00<script>")}},
		{ID: "0-3-0", Died: time.Now(), Message: medispatcher.Message{ID: "json", Topic: "order.x", Body: []byte(`{"a":{"b":"</pre><script>hacked()"}}`)}},
	}
	f.Ended = []medispatcher.Attempt{
		{ID: "2-a-1", Time: time.Now(), Message: hostile, Topic: hostile, Outcome: "failed", Target: "http://h/" + hostile, Status: 503, Error: hostile, Unlisted: 1204},
		{ID: "1-a-1", Time: time.Now(), Message: "x/y", Topic: "order.x", Outcome: "sent", Status: 200, TookMS: 1.5, Answer: hostile},
	}
	f.Failed = []medispatcher.Failing{{ID: hostile, Entry: "1-0", Topic: hostile, Due: time.Now().Add(time.Minute), Failure: failure}}
	alert := medispatcher.Alert{Rule: medispatcher.RuleBreaker, Subscription: "billing", Line: "[ALERT] breaker billing: " + hostile, AlertFacts: medispatcher.AlertFacts{LastError: hostile}}
	f.Firing = medispatcher.Alerts{
		Firing: []medispatcher.Firing{{Since: time.Now().Add(-time.Minute), Notices: 2, Alert: alert}}, FiringCount: 1, Waiting: 1,
		Last: []medispatcher.Notice{{ID: 2, Kind: medispatcher.NoticeAlert, At: time.Now(), Alert: alert}, {ID: 1, Kind: medispatcher.NoticeAlert, Outcome: hostile, Alert: alert}},
	}
	f.Counts = medispatcher.ChannelStatus{Ready: 1204, Buried: 3, Retrying: 1, Dead: 3, OldestMS: 61_000}
	return f
}

var allPages = []string{
	"/", "/subscriptions", "/subscriptions?q=%3Cscript%3Ehacked()&sort=dead&dir=desc", "/subscriptions?state=dead", "/subscribe?topic=%3Cscript%3Ehacked()",
	"/subscriptions/billing", "/subscriptions/billing/test", "/subscriptions/billing/deliveries", "/subscriptions/billing/deliveries?text=%3Cscript%3Ehacked()&status=%22%3E%3Cscript%3Ehacked()",
	"/messages/m-1", "/messages/m-1/payload", "/messages/binary/payload?at=dead/billing/0-2-0", "/messages/m-1/payload?at=unrouted/0-1-0&subscription=%3Cscript%3Ehacked()",
	"/subscriptions/billing/dead", "/subscriptions/billing/dead?q=%3Cscript%3Ehacked()", "/subscriptions/billing/dead/0-1-0",
	"/subscriptions/billing/dead/0-2-0", "/subscriptions/billing/dead/0-3-0", "/dead", "/alerts", "/publish", "/publish?topic=order.created",
	"/search?q=%3Cscript%3Ehacked()", "/search?q=script", "/search", "/topics", "/topics?q=%3Cscript%3E", "/topics/order.created",
	"/publish?topic=%22%3E%3Cscript%3Ehacked()", "/nowhere/%3Cscript%3Ehacked()",
}

// TestHostileMessagesOnPages: nothing that others wrote becomes a part of a page, and nothing
// invisible stays invisible.
func TestHostileMessagesOnPages(t *testing.T) {
	h := paneltest.Handler(hostileFake(), panel.Config{Rules: paneltest.Rules})
	tag := regexp.MustCompile(`(?i)<script(?: type="module" src="/static/[0-9a-f]{12}/app\.js")?`)
	for _, path := range allPages {
		w := paneltest.Get(t, h, path)
		want := http.StatusOK
		if strings.HasPrefix(path, "/nowhere") {
			want = http.StatusNotFound
		}
		body := w.Body.String()
		if w.Code != want || !strings.HasSuffix(strings.TrimSpace(body), "</html>") {
			t.Errorf("%s: %d, %d bytes: %.300s", path, w.Code, len(body), body)
		}
		if scripts := tag.FindAllString(body, -1); len(scripts) != 1 || !strings.Contains(scripts[0], "app.js") {
			t.Errorf("%s: scripts %q", path, scripts)
		}
		for _, bad := range []string{"<img", "onerror=hacked()>", "style=", "javascript:", "\x1b", "\x00", "\u202e", "\u2028", "user:pw"} {
			if strings.Contains(body, bad) && (bad != "onerror=hacked()>" || strings.Contains(body, "<img")) {
				t.Errorf("%s holds %q", path, bad)
			}
		}
		if len(body) > 256<<10 {
			t.Errorf("%s is %d bytes long", path, len(body))
		}
		policy := w.Header().Get("Content-Security-Policy")
		if !strings.Contains(policy, "default-src 'none'; script-src 'self';") || strings.Contains(policy, "unsafe") ||
			w.Header().Get("X-Content-Type-Options") != "nosniff" || w.Header().Get("Cache-Control") != "no-store" {
			t.Errorf("%s: headers %v", path, w.Header())
		}
	}
	page := paneltest.Get(t, h, "/subscriptions/billing/dead/0-1-0").Body.String()
	for _, shown := range []string{`\x1b[31m`, `\x00`, `\u202e`, "only the beginning is shown", "Download"} {
		if !strings.Contains(page, shown) {
			t.Errorf("the page of the letter does not show %q", shown)
		}
	}
	if page := paneltest.Get(t, h, "/subscriptions/billing/dead/0-3-0").Body.String(); !strings.Contains(page, "{\n  &#34;a&#34;: {") {
		t.Error("JSON is not laid out:", page)
	}
}
