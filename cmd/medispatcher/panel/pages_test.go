package panel_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/cmd/medispatcher/panel"
)

// get asks for a page as a browser does.
func get(t *testing.T, h http.Handler, path string, header ...string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "http://localhost:5601"+path, nil)
	r.Header.Set("Accept", "text/html,application/xhtml+xml")
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// hostile is what somebody might write into everything that a message may hold.
const hostile = `<script>hacked()</script><img src=x onerror=hacked()>"'` + "`" + `{{.}}\x1b[31m` + "\x1b[31m\x00\u202egnp.exe\u2028\x85"

func hostileFake() *fake {
	f := newFake("billing")
	f.docs["billing"] = `{"topic":"order.*","urls":["http://h/?q=<script>hacked()</script>\"'"],"headers":{"x-evil":"\"><script>hacked()</script>"}}`
	failure := &medispatcher.Failure{Attempts: 3, FirstError: hostile, LastError: hostile, Target: "http://h/" + hostile, FirstAt: time.Now().Add(-time.Hour), LastAt: time.Now()}
	m := medispatcher.Message{
		ID: hostile, Topic: "order.created", Sender: hostile, Key: hostile, Type: hostile, Body: []byte(hostile + strings.Repeat("🦄", 1<<18)),
		Headers: map[string]string{"x": hostile, "y": strings.Repeat("<b>", 5000)}, Time: time.Now(),
	}
	f.letters = []medispatcher.DeadLetter{
		{ID: "0-1-0", Died: time.Now(), Message: m, Failure: failure},
		{ID: "0-2-0", Died: time.Now(), Message: medispatcher.Message{ID: "binary", Topic: "order.x", Body: []byte("\xff\xfe\x00<script>")}},
		{ID: "0-3-0", Died: time.Now(), Message: medispatcher.Message{ID: "json", Topic: "order.x", Body: []byte(`{"a":{"b":"</pre><script>hacked()"}}`)}},
	}
	f.failing = []medispatcher.Failing{{ID: hostile, Entry: "1-0", Topic: hostile, Due: time.Now().Add(time.Minute), Failure: failure}}
	alert := medispatcher.Alert{Rule: medispatcher.RuleBreaker, Subscription: "billing", Line: "[ALERT] breaker billing: " + hostile, AlertFacts: medispatcher.AlertFacts{LastError: hostile}}
	f.alerts = medispatcher.Alerts{
		Firing: []medispatcher.Firing{{Since: time.Now().Add(-time.Minute), Notices: 2, Alert: alert}}, FiringCount: 1, Waiting: 1,
		Last: []medispatcher.Notice{{ID: 2, Kind: medispatcher.NoticeAlert, At: time.Now(), Alert: alert}, {ID: 1, Kind: medispatcher.NoticeAlert, Outcome: hostile, Alert: alert}},
	}
	f.counts = medispatcher.ChannelStatus{Ready: 1204, Buried: 3, Retrying: 1, Dead: 3, OldestMS: 61_000}
	return f
}

var allPages = []string{
	"/", "/subscriptions", "/subscriptions?q=%3Cscript%3Ehacked()&sort=dead&dir=desc", "/subscriptions?state=dead", "/subscribe?topic=%3Cscript%3Ehacked()",
	"/subscriptions/billing", "/subscriptions/billing/dead", "/subscriptions/billing/dead?q=%3Cscript%3Ehacked()", "/subscriptions/billing/dead/0-1-0",
	"/subscriptions/billing/dead/0-2-0", "/subscriptions/billing/dead/0-3-0", "/dead", "/alerts", "/publish", "/publish?topic=order.created",
	"/publish?topic=%22%3E%3Cscript%3Ehacked()", "/nowhere/%3Cscript%3Ehacked()",
}

// TestHostileMessagesOnPages: nothing that others wrote becomes a part of a page, and nothing
// invisible stays invisible.
func TestHostileMessagesOnPages(t *testing.T) {
	h := handler(hostileFake(), panel.Config{Rules: rules})
	tag := regexp.MustCompile(`(?i)<script(?: type="module" src="/static/[0-9a-f]{12}/app\.js")?`)
	for _, path := range allPages {
		w := get(t, h, path)
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
	page := get(t, h, "/subscriptions/billing/dead/0-1-0").Body.String()
	for _, shown := range []string{`\x1b[31m`, `\x00`, `\u202e`, "the first of them shown", "Download"} {
		if !strings.Contains(page, shown) {
			t.Errorf("the page of the letter does not show %q", shown)
		}
	}
	if page := get(t, h, "/subscriptions/billing/dead/0-3-0").Body.String(); !strings.Contains(page, "{\n  &#34;a&#34;: {") {
		t.Error("JSON is not laid out:", page)
	}
}

func TestBodyIsDownloadedAsItIs(t *testing.T) {
	f := hostileFake()
	w := get(t, handler(f, panel.Config{Rules: rules}), "/subscriptions/billing/dead/0-1-0/body")
	h := w.Header()
	if w.Body.String() != string(f.letters[0].Message.Body) || h.Get("Content-Disposition") != `attachment; filename="0-1-0.txt"` ||
		h.Get("Content-Type") != "text/plain; charset=utf-8" || h.Get("X-Content-Type-Options") != "nosniff" || !strings.HasPrefix(h.Get("Content-Security-Policy"), "sandbox") {
		t.Errorf("%d bytes, %v", w.Body.Len(), h)
	}
}

// TestPublishPageOfLoadTests: the page shows who gets a load test, as the router has it.
func TestPublishPageOfLoadTests(t *testing.T) {
	f := newFake()
	f.docs["catch-all"] = `{"topic":">","urls":["http://h/"]}`
	f.docs["wants-all"] = `{"topic":">","urls":["http://h/"],"receive_bench":true}`
	f.docs["by-name"] = `{"topic":"bench.>","urls":["http://h/"]}`
	h := handler(f, panel.Config{Rules: rules})
	for topic, want := range map[string][3]bool{"bench.0123456789ab": {false, true, true}, "order.x": {true, true, false}} {
		page := get(t, h, "/publish?topic="+topic).Body.String()
		list := get(t, h, "/api/v1/subscriptions?topic="+topic).Body.String()
		for i, id := range []string{"catch-all", "wants-all", "by-name"} {
			if strings.Contains(page, `data-sub="`+id+`"`) != want[i] || strings.Contains(list, `"`+id+`"`) != want[i] {
				t.Errorf("%s of %s: want %t in\n%s\n%s", id, topic, want[i], page, list)
			}
		}
	}
}

func TestPagesWithoutRedis(t *testing.T) {
	for step, path := range map[string]string{
		"list": "/", "stats": "/", "counts": "/subscriptions", "get": "/subscriptions/billing", "failing": "/subscriptions/billing",
		"letters": "/subscriptions/billing/dead", "dispatchers": "/dead", "incoming": "/publish?topic=order.created",
	} {
		f := newFake("billing")
		f.broken, f.err = step, errRedis
		w := get(t, handler(f, panel.Config{Rules: rules}), path)
		if w.Code != http.StatusServiceUnavailable || !strings.Contains(w.Body.String(), "connection refused") || !strings.Contains(w.Body.String(), "data-retry") {
			t.Errorf("%s without %s: %d %s", path, step, w.Code, w.Body)
		}
	}
	h := handler(newFake("billing"), panel.Config{Rules: rules})
	for path, want := range map[string]int{
		"/subscriptions/none": 404, "/subscriptions/none/dead": 404, "/subscriptions/none/dead/0-9-0": 404, "/subscriptions/-x": 422,
		"/subscriptions/none/dead/x": 422, "/subscriptions/billing/dead?after=x": 422, "/static/": 404, "/static/x/none.js": 404, "/nowhere": 404,
	} {
		if w := get(t, h, path); w.Code != want {
			t.Errorf("%s: %d, want %d: %.500s", path, w.Code, want, w.Body)
		}
	}
}

// TestFormHasEveryField: what a subscription may hold can be set by form.
func TestFormHasEveryField(t *testing.T) {
	h := handler(newFake("billing"), panel.Config{Rules: rules})
	for _, path := range []string{"/subscribe", "/subscriptions/billing"} {
		page := get(t, h, path).Body.String()
		_, fields := medispatcher.ChangeOf(nil, &medispatcher.Subscription{Secret: "x"}) // every field of one that is made
		for name := range fields {
			if !strings.Contains(page, `data-field="`+name+`"`) && name != "id" {
				t.Errorf("%s: no field %s", path, name)
			}
		}
		for _, want := range []string{`placeholder="8 (default)"`, `placeholder="5s (default)"`, `max="1500"`} {
			if !strings.Contains(page, want) {
				t.Errorf("%s: no %s", path, want)
			}
		}
	}
}

// many is a fake with a list of subscriptions that is made once.
type many struct {
	*fake
	list []medispatcher.Subscription
}

func (m many) Subscriptions(context.Context) ([]medispatcher.Subscription, int64, error) {
	return m.list, 1, nil
}

// ChannelStatus: the greater the number in the id, the more is READY.
func (m many) ChannelStatus(_ context.Context, ids []string) ([]medispatcher.ChannelStatus, error) {
	list := make([]medispatcher.ChannelStatus, len(ids))
	for i, id := range ids {
		n, _ := strconv.ParseInt(strings.TrimPrefix(id, "sub-"), 10, 64)
		list[i] = medispatcher.ChannelStatus{ID: id, Ready: n, Dead: n / 9990}
	}
	return list, nil
}

func TestList(t *testing.T) {
	m := many{fake: newFake()}
	for i := range 10_000 {
		m.list = append(m.list, medispatcher.Subscription{ID: fmt.Sprintf("sub-%05d", i), Topic: fmt.Sprintf("order.t%d", i%100), Paused: i%1000 == 7})
	}
	h := panel.New(panel.Config{Rules: rules}, panel.Deps{
		Registry: m, Store: m, Kicker: m, Alerts: m, Kept: m, Router: anyTopic, Ready: func() error { return nil }, Log: slog.New(slog.DiscardHandler),
	})
	for path, want := range map[string][]string{
		"/subscriptions":                             {"1–50 of 10,000", ">sub-00000</a>", ">sub-00049</a>", "Page 1 of 200"},
		"/subscriptions?page=200":                    {"9,951–10,000 of 10,000", ">sub-09999</a>"},
		"/subscriptions?page=999":                    {"9,951–10,000 of 10,000"},
		"/subscriptions?dir=desc&sort=id":            {">sub-09999</a>"},
		"/subscriptions?q=SUB-0123":                  {"1–10 of 10 found, 10,000 in all", ">sub-01239</a>"},
		"/subscriptions?q=t42":                       {"1–50 of 100 found"},
		"/subscriptions?state=paused":                {"1–10 of 10 found", ">sub-09007</a>"},
		"/subscriptions?sort=ready&dir=desc":         {"1–50 of 10,000", ">9,999</td>", `aria-sort="descending"`},
		"/subscriptions?state=dead":                  {"1–10 of 10 found"},
		"/":                                          {"49,995,000", "10 dead letters", "And 2 more"},
		"/subscriptions?q=none":                      {"None of 10,000 subscriptions is like that"},
		"/subscriptions?sort=nothing&state=<&page=x": {"1–50 of 10,000"},
	} {
		page := get(t, h, path).Body.String()
		for _, text := range want {
			if !strings.Contains(page, text) {
				t.Errorf("%s: no %q", path, text)
			}
		}
	}
	if page := get(t, handler(newFake(), panel.Config{Rules: rules}), "/subscriptions").Body.String(); !strings.Contains(page, "medispatcher sub put") {
		t.Error("an empty list does not say what to do:", page)
	}
}

// TestAlertsPages: what fires is named on the overview, on its subscription's page and on the page of alerts, which
// has the last notices as well.
func TestAlertsPages(t *testing.T) {
	f := newFake("billing", "stock")
	alert := medispatcher.Alert{Rule: medispatcher.RuleBacklog, Subscription: "billing", Line: "[ALERT] backlog billing: 7012 messages are READY"}
	f.alerts = medispatcher.Alerts{
		Firing: []medispatcher.Firing{{Since: time.Now().Add(-time.Minute), Notices: 2, Alert: alert}}, FiringCount: 3,
		Last: []medispatcher.Notice{{ID: 2, Kind: medispatcher.NoticeAlert, At: time.Now(), Outcome: "not sent: refused", Alert: alert}, {ID: 1, Kind: medispatcher.NoticeRecovered, At: time.Now(), Alert: alert}},
	}
	pages := map[string][]string{
		"/":                      {"3 alerts fire: backlog.", `href="/alerts"`},
		"/subscriptions/billing": {"Alert: backlog billing: 7012 messages are READY."},
		"/alerts":                {"backlog billing: 7012", "1 min 0 s ago", "And 2 more", "recovered", "not sent: refused", "under way", `data-url="/api/v1/alerts/test"`},
	}
	h := handler(f, panel.Config{Rules: rules})
	for path, want := range pages {
		page := get(t, h, path).Body.String()
		for _, text := range want {
			if !strings.Contains(page, text) {
				t.Errorf("%s: no %q", path, text)
			}
		}
	}
	if page := get(t, h, "/subscriptions/stock").Body.String(); strings.Contains(page, "7012") {
		t.Error("an alert of another subscription")
	}
	quiet := handler(newFake(), panel.Config{Rules: rules})
	if page := get(t, quiet, "/alerts").Body.String(); !strings.Contains(page, "Nothing fires") || !strings.Contains(page, "None was sent") {
		t.Error("nothing fires:", page)
	}
	if page := get(t, quiet, "/").Body.String(); strings.Contains(page, "alert") && strings.Contains(page, "fire") {
		t.Error("an alert on the overview:", page)
	}
	f.broken, f.err = "alerts", errors.New("redis: gone")
	for path := range pages {
		if w := get(t, handler(f, panel.Config{Rules: rules}), path); w.Code != 503 {
			t.Errorf("%s while Redis is away: %d", path, w.Code)
		}
	}
}

func TestStaticFiles(t *testing.T) {
	h := handler(newFake(), panel.Config{Rules: rules, Token: "s3cret"})
	page := get(t, h, "/signin").Body.String()
	path := regexp.MustCompile(`/static/[^"]*app\.js`).FindString(page)
	for p, want := range map[string]string{path: "public, max-age=31536000, immutable", strings.Replace(path, "/static/", "/static/0", 1): "no-store"} {
		if w := get(t, h, p); w.Code != 200 || w.Header().Get("Cache-Control") != want || !strings.HasPrefix(w.Header().Get("Content-Type"), "text/javascript") {
			t.Errorf("%s: %d %v", p, w.Code, w.Header())
		}
	}
}

// TestPanelWithoutTokenAnswersToLocalNames: a page elsewhere whose name points to 127.0.0.1 reads nothing.
func TestPanelWithoutTokenAnswersToLocalNames(t *testing.T) {
	f := newFake("billing")
	for host, want := range map[string]int{
		"localhost": 200, "localhost:5601": 200, "LOCALHOST.": 200, "127.0.0.1:5601": 200, "127.8.8.8": 200, "[::1]:5601": 200, "panel.localhost:1": 200,
		"evil.example": 421, "evil.example:5601": 421, "127.0.0.1.evil.example": 421, "10.0.0.7:5601": 421, "localhost.evil.example": 421,
	} {
		for _, path := range []string{"/", "/api/v1/status"} {
			r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil)
			r.Host = host
			w := httptest.NewRecorder()
			handler(f, panel.Config{Rules: rules}).ServeHTTP(w, r)
			if w.Code != want {
				t.Errorf("Host %s, %s: %d, want %d", host, path, w.Code, want)
			}
		}
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/healthz", nil)
		r.Host = host
		w := httptest.NewRecorder()
		handler(f, panel.Config{Rules: rules}).ServeHTTP(w, r)
		if w.Code != 200 {
			t.Errorf("Host %s: /healthz %d", host, w.Code)
		}
	}
}

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
	h := handler(newFake("billing"), panel.Config{Token: token, Rules: rules})

	for path, to := range map[string]string{"/": "/signin", "/subscriptions?q=a&page=2": "/signin?next=%2Fsubscriptions%3Fq%3Da%26page%3D2"} {
		if w := get(t, h, path); w.Code != 303 || w.Header().Get("Location") != to {
			t.Errorf("%s: %d %s", path, w.Code, w.Header().Get("Location"))
		}
	}
	if w := get(t, h, "/api/v1/status"); w.Code != 401 || w.Header().Get("Content-Type") != "application/problem+json" {
		t.Errorf("the API: %d %v", w.Code, w.Header())
	}
	if w := signIn(t, h, "wrong", "/"); w.Code != 401 || w.Header().Get("Set-Cookie") != "" || !strings.Contains(w.Body.String(), "That is not the token") {
		t.Errorf("a wrong token: %d %v", w.Code, w.Header())
	}
	for next, to := range map[string]string{
		"/dead?x=1": "/dead?x=1", "": "/", "//evil.example": "/", "https://evil.example/": "/", `/\evil.example`: "/", "/signin": "/", "javascript:alert(1)": "/", "/\t/evil": "/",
	} {
		if w := signIn(t, handler(newFake(), panel.Config{Token: token}), token, next); w.Code != 303 || w.Header().Get("Location") != to {
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

	if w := get(t, h, "/subscriptions", "Cookie", cookie); w.Code != 200 || !strings.Contains(w.Body.String(), "Sign out") {
		t.Errorf("signed in: %d", w.Code)
	}
	pause := request{method: "POST", path: subs + "/billing/pause", header: []string{"Cookie", cookie}}
	if w := do(t, h, pause); w.Code != 401 {
		t.Errorf("a change that does not say where it comes from: %d", w.Code)
	}
	pause.header = append(pause.header, "Sec-Fetch-Site", "same-origin")
	if w := do(t, h, pause); w.Code != 200 {
		t.Errorf("a change by a page: %d %s", w.Code, w.Body)
	}
	pause.header[3] = "same-site"
	if w := do(t, h, pause); w.Code != 403 {
		t.Errorf("a change by another host of the site: %d", w.Code)
	}

	// Every change of the cookie ends it, and so does a changed token.
	for i := len("medis_session="); i < len(cookie); i += 7 {
		other := byte('A')
		if cookie[i] == other {
			other = 'B'
		}
		if w := get(t, h, "/", "Cookie", cookie[:i]+string(other)+cookie[i+1:]); w.Code != 303 {
			t.Errorf("byte %d of the cookie changed: %d", i, w.Code)
		}
	}
	if w := get(t, handler(newFake(), panel.Config{Token: "another"}), "/", "Cookie", cookie); w.Code != 303 {
		t.Errorf("another token: %d", w.Code)
	}
	if w := get(t, handler(newFake(), panel.Config{Token: token}), "/", "Cookie", cookie); w.Code != 200 {
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

// TestWrongTokens: who has a wrong token is slowed down, who has the right one is not, from the same address.
func TestWrongTokens(t *testing.T) {
	const token = "the-right-token-of-it"
	var log strings.Builder
	f := newFake()
	h := panel.New(panel.Config{Token: token}, panel.Deps{Registry: f, Store: f, Kicker: f, Alerts: f, Kept: f, Router: anyTopic, Log: slog.New(slog.NewTextHandler(&log, nil))})
	codes := map[int]int{}
	for range 50 {
		codes[get(t, h, subs, "Authorization", "Bearer another-"+token).Code]++
	}
	if codes[401] < 10 || codes[429] < 30 || strings.Contains(log.String(), token) || strings.Count(log.String(), "a wrong token") != codes[401] {
		t.Errorf("answers %v, log\n%s", codes, log.String())
	}
	if w := get(t, h, subs, "Authorization", "Bearer "+token); w.Code != 200 {
		t.Errorf("the right token: %d", w.Code)
	}
	if w := get(t, h, subs); w.Code != 401 {
		t.Errorf("no token: %d", w.Code)
	}
}
