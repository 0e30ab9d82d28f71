package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/alert/alerttest"
	"github.com/solate/medispatcher/cmd/internal/cli"
	"github.com/solate/medispatcher/streams/streamstest"
)

// webhook is a receiver that remembers what it got.
type webhook struct {
	*httptest.Server
	mu    sync.Mutex
	texts []string
}

func newWebhook(t *testing.T) *webhook {
	t.Helper()
	h := &webhook{}
	h.Server = httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		h.mu.Lock()
		defer h.mu.Unlock()
		h.texts = append(h.texts, string(body))
	}))
	t.Cleanup(h.Close)
	return h
}

func (h *webhook) got() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return append([]string(nil), h.texts...)
}

func (r *running) alerts() (all medispatcher.Alerts) {
	r.t.Helper()
	code, body := r.call(http.MethodGet, "/api/v1/alerts", "")
	if err := json.Unmarshal([]byte(body), &all); err != nil || code != http.StatusOK {
		r.t.Fatalf("%d %s", code, body)
	}
	return all
}

// TestAlertsOfTwoDispatchers: an alert and its recovery are one mail and one call of the webhook each, however many
// dispatchers run. A receiver of the subscription replaces the default ones. No secret in the URL of a receiver is
// shown anywhere.
func TestAlertsOfTwoDispatchers(t *testing.T) {
	t.Parallel()
	streamstest.Each(t, func(t *testing.T, env *streamstest.Env) {
		t.Parallel()
		box, hook := alerttest.NewMailbox(t, nil), newWebhook(t)
		w := newWorker(t)
		w.answer = func(rw http.ResponseWriter, _ *http.Request) { rw.WriteHeader(http.StatusInternalServerError) }
		vars := []string{
			"MEDIS_REDIS_URL=" + env.URL, "MEDIS_ENV=PUB",
			"MEDIS_ALERT_URLS=" + box.URL("ops@example.com,night@example.com") + ",generic+" + hook.URL + "/hushhush?key=hushhush",
		}
		a, b := startServe(t, vars, "serve"), startServe(t, vars, "serve")
		own := alerttest.NewMailbox(t, nil)
		const doc = `{"topic":%q,"urls":[%q],"max_retries":3,"retry_coefficient":"1h","alert":{"failures":3,"window":"8s","message_failures":0,"urls":[%s]}}`
		a.put("s", fmt.Sprintf(doc, "a", w.URL, ""))
		a.put("own", fmt.Sprintf(doc, "b", w.URL, `"`+own.URL("team@example.com")+`"`))
		for range 4 {
			xadd(t, env, "topic", "a", "body", "x")
			xadd(t, env, "topic", "b", "body", "x")
		}
		const line = "[ALERT] failures s: 4 attempts failed within 8s (alert at 3)"
		sent := func(mails []alerttest.Mail, word string) int {
			n := 0
			for _, m := range mails {
				if strings.HasPrefix(m.Subject, word) {
					n++
				}
			}
			return n
		}
		for _, word := range []string{"[ALERT]", "[RECOVERED]"} {
			box.Await(t, word+" to two people", func(mails []alerttest.Mail) bool { return sent(mails, word) >= 2 })
			own.Await(t, word+" to the team", func(mails []alerttest.Mail) bool { return sent(mails, word) >= 1 })
		}
		eventually(t, "every notice is settled", func() bool {
			all := b.alerts()
			return all.Waiting == 0 && len(all.Firing) == 0 && len(all.Last) == 4 && all.Last[0].Outcome == "sent"
		})
		for _, r := range []*running{a, b} {
			if code := r.stop(); code != cli.ExitOK {
				t.Errorf("exit %d", code)
			}
			if logs := r.logs.String() + r.out.String(); strings.Contains(logs, "hush") {
				t.Errorf("a secret is shown:\n%s", logs)
			}
		}
		mails, people := box.Mails(), map[string]int{}
		for _, m := range mails {
			people[m.To]++
		}
		if len(mails) != 4 || people["ops@example.com"] != 2 || people["night@example.com"] != 2 || len(own.Mails()) != 2 || len(hook.got()) != 2 {
			t.Errorf("mails %+v\nown %+v\nhook %q", mails, own.Mails(), hook.got())
		}
		first := mails[0]
		if !strings.HasPrefix(first.Subject, "[ALERT] failures s: ") || !strings.Contains(first.Text, "environment PUB") || !strings.Contains(first.Text, "s has no receivers of its own") {
			t.Errorf("%+v; want a line such as %s", first, line)
		}
		if strings.Contains(own.Mails()[0].Text, "no receivers of its own") {
			t.Error(own.Mails()[0].Text)
		}
	})
}

// TestAlertsOfEvents: a dispatcher that is lost, and a subscription whose worker is gone, raise one alert each.
func TestAlertsOfEvents(t *testing.T) {
	t.Parallel()
	streamstest.Each(t, func(t *testing.T, env *streamstest.Env) {
		t.Parallel()
		w := newWorker(t)
		w.answer = func(rw http.ResponseWriter, _ *http.Request) { rw.WriteHeader(http.StatusGone) }
		ghost := env.Open(t, env.Config("ghost"))
		if err := ghost.Heartbeat(t.Context(), medispatcher.Dispatcher{ID: "ghost", Host: "host-9", DeadAfter: 1}); err != nil {
			t.Fatal(err)
		}
		vars := []string{"MEDIS_REDIS_URL=" + env.URL, "MEDIS_HEARTBEAT=50ms", "MEDIS_DEAD_AFTER=500ms"}
		a, b := startServe(t, vars, "serve"), startServe(t, vars, "serve")
		a.put("s", fmt.Sprintf(`{"topic":"a","urls":[%q]}`, w.URL))
		xadd(t, env, "topic", "a", "body", "x")
		eventually(t, "two alerts, in the log alone", func() bool {
			all, told := b.alerts(), map[string]string{}
			for _, n := range all.Last {
				told[n.Line] += n.Outcome
			}
			lost := ""
			for line, outcome := range told {
				if strings.HasPrefix(line, "[ALERT] dispatcher_lost: ghost on host-9 is dead; ") {
					lost = outcome
				}
			}
			return lost == "no receivers" && told["[ALERT] gone s: paused: its worker answered 410 Gone"] == "no receivers"
		})
		a.stop()
		b.stop()
		logs := a.logs.String() + b.logs.String()
		if n := strings.Count(logs, "[ALERT] dispatcher_lost"); n != 1 {
			t.Errorf("%d lines of it", n)
		}
	})
}

// TestKilledBeforeItSends: a dispatcher dies just before it sends an alert. Another one sends it, once.
func TestKilledBeforeItSends(t *testing.T) {
	t.Parallel()
	env := streamstest.Real(t)
	var first *exec.Cmd
	var connections atomic.Int32
	started, killed := make(chan struct{}), make(chan struct{})
	box := alerttest.NewMailbox(t, func(m *alerttest.Mailbox) {
		m.Connected = func() bool {
			if connections.Add(1) > 1 {
				return true
			}
			<-started
			_ = first.Process.Kill()
			_ = first.Wait()
			close(killed)
			return false
		}
	})
	w := newWorker(t)
	w.answer = func(rw http.ResponseWriter, _ *http.Request) { rw.WriteHeader(http.StatusGone) }
	vars := []string{"MEDIS_REDIS_URL=" + env.URL, "MEDIS_ALERT_URLS=" + box.URL("ops@example.com"), "MEDIS_ALERT_DISPATCHER_LOST=false"}
	p := &program{t: t, env: vars}
	p.ok("sub", "put", "s", "--topic", "a", "--url", w.URL)
	xadd(t, env, "topic", "a", "body", "x")
	first = exec.Command(os.Args[0])
	first.Env = append(append(os.Environ(), vars...), "MEDIS_LISTEN=127.0.0.1:0", commandInstead+"=serve")
	if err := first.Start(); err != nil {
		t.Fatal(err)
	}
	close(started)
	awaitSignal(t, "the kill", killed)
	due := env.Client.ZRangeWithScores(t.Context(), "medis:alerts:{alerts}:due", 0, -1).Val()
	if len(due) != 1 || time.Until(time.UnixMilli(int64(due[0].Score))) < 10*time.Second {
		t.Fatalf("the killed dispatcher has no lease: %+v", due)
	}
	env.Client.Do(t.Context(), "ZADD", "medis:alerts:{alerts}:due", 0, due[0].Member) // the lease ends now
	other := startServe(t, vars, "serve")
	box.Await(t, "the mail of the other dispatcher", func(mails []alerttest.Mail) bool { return len(mails) > 0 })
	eventually(t, "it is settled", func() bool {
		all := other.alerts()
		return all.Waiting == 0 && all.Last[0].Outcome == "sent"
	})
	other.stop()
	if mails := box.Mails(); len(mails) != 1 || mails[0].Subject != "[ALERT] gone s: paused: its worker answered 410 Gone" {
		t.Errorf("%+v", mails)
	}
}

func TestAlertCommands(t *testing.T) {
	t.Parallel()
	box := alerttest.NewMailbox(t, func(m *alerttest.Mailbox) {
		m.Refuse = func(to string) string {
			if to == "nobody@example.com" {
				return "550 nobody of that name"
			}
			return ""
		}
	})
	c := newCLI(t, "MEDIS_ALERT_URLS="+strings.Replace(box.URL("ops@example.com"), "smtp://", "smtp://u:hushhush@", 1)+"&auth=none")
	if out := c.ok("alert", "ls"); out != "nothing fires\n" {
		t.Errorf("printed %q", out)
	}
	contains(t, c.ok("alert", "test"), "RECEIVER", "smtp://"+box.Addr+"/********-", "  sent\n")
	if mails := box.Mails(); len(mails) != 1 || mails[0].Subject != "[ALERT] test: this is a test; nothing is wrong" {
		t.Errorf("%+v", mails)
	}
	c.ok("sub", "put", "x", "--topic", "a", "--url", "http://h/", "--alert-url", box.URL("nobody@example.com,ops@example.com"))
	code, out, stderr := c.run("", "alert", "test", "--sub", "x")
	if code != cli.ExitFailed || strings.Contains(out+stderr, "hush") {
		t.Errorf("exit %d", code)
	}
	contains(t, out, "the recipient is refused: 550", "  sent\n")
	contains(t, stderr, "1 of 2 receivers failed")
	if _, out, _ := c.run("", "alert", "test", "--sub", "x", "--json"); !strings.HasPrefix(out, `{"receivers":[{"receiver":"smtp://`) || strings.Count(out, "\n") != 1 {
		t.Errorf("as JSON %q", out)
	}
	c.fails(cli.ExitFailed, "", []string{"alert", "test", "--sub", "y"}, "not found")
	c.fails(cli.ExitUsage, "", []string{"sub", "set", "x", "alert.urls=slak://hushhush"}, "alert.urls[0]: has an unknown scheme")
	c.fails(cli.ExitUsage, "", []string{"alert"}, "alert: say which: ls, rules or test")
	none := newCLI(t)
	none.fails(cli.ExitUsage, "", []string{"alert", "test"}, "there are no receivers: set MEDIS_ALERT_URLS")
}

// TestAlertRulesOfAnotherShell: the command knows its own variables only, and says so.
func TestAlertRulesOfAnotherShell(t *testing.T) {
	t.Parallel()
	contains(t, newCLI(t, "MEDIS_ALERT_BACKLOG=7").ok("alert", "rules"),
		"alert.backlog=7", "by the variables of this command", "MEDIS_ALERT_URLS is not set here")
}

func TestAlertAPI(t *testing.T) {
	t.Parallel()
	env := streamstest.Mini(t)
	hook := newWebhook(t)
	r := startServe(t, []string{"MEDIS_REDIS_URL=" + env.URL}, "serve")
	for _, q := range []struct {
		path string
		want int
		says string
	}{
		{"/api/v1/alerts/test", http.StatusConflict, "there are no receivers"},
		{"/api/v1/alerts/test?subscription=s", http.StatusNotFound, "not found"},
		{"/api/v1/alerts/test?sub=s", http.StatusUnprocessableEntity, "sub"},
	} {
		if code, body := r.call(http.MethodPost, q.path, ""); code != q.want || !strings.Contains(body, q.says) {
			t.Errorf("%s: %d %s", q.path, code, body)
		}
	}
	r.put("s", fmt.Sprintf(`{"topic":"a","urls":["http://h/"],"alert":{"urls":["generic+%s/hushhush","discord://hushhush@1"]}}`, hook.URL))
	code, body := r.call(http.MethodPost, "/api/v1/alerts/test?subscription=s", "")
	if code != http.StatusOK || strings.Contains(body, "hush") || len(hook.got()) != 1 {
		t.Errorf("%d %s, got %q", code, body, hook.got())
	}
	code, body = r.call(http.MethodPut, "/api/v1/subscriptions/s", `{"topic":"a","urls":["http://h/"],"alert":{"urls":["slack://hushhush"]}}`)
	if code != http.StatusUnprocessableEntity || !strings.Contains(body, "alert.urls[0]") || strings.Contains(body, "hush") {
		t.Errorf("%d %s", code, body)
	}
	if all := r.alerts(); all.Firing == nil || all.Last == nil {
		t.Errorf("null in a list: %+v", all)
	}
}

func TestAlertConfiguration(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "a.tmpl")
	if err := os.WriteFile(file, []byte("{{define \"gone\"}}\n{{.Nope}}{{end}}"), 0o600); err != nil {
		t.Fatal(err)
	}
	code, _, stderr := runWith(t, nil, []string{"MEDIS_ALERT_URLS=smtp://u:hushhush@h/ slack://hushhush generic+https://h/", "MEDIS_ALERT_TEMPLATES=" + file, "MEDIS_ALERT_MEMORY=101"}, "serve")
	if code != cli.ExitUsage || strings.Contains(stderr, "hush") {
		t.Errorf("exit %d", code)
	}
	contains(t, stderr, "number 1, smtp://h/********-", "number 2, slack://********-", "a.tmpl:2", "MEDIS_ALERT_MEMORY=101: give a whole number from 0 to 100")
	_, out, _ := runWith(t, nil, []string{"MEDIS_ALERT_URLS=smtp://u:hushhush@mail.example:587/?from=a@x&to=b@x,c@x,slack://hook:THUSHHUSH-BHUSHHUSH-hushhushhushhushhushhush@webhook"}, "config")
	if strings.Contains(strings.ToLower(out), "hush") || !strings.Contains(out, "smtp://mail.example:587/********-") || !strings.Contains(out, " slack://********-") {
		t.Error(out)
	}
}
