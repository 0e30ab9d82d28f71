package panel_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/amender"
	"github.com/solate/medispatcher/cmd/medispatcher/panel"
	"github.com/solate/medispatcher/cmd/medispatcher/panel/paneltest"
	rescue "github.com/solate/medispatcher/recover"
	"github.com/solate/medispatcher/streams"
	"github.com/solate/medispatcher/streams/report"
	"github.com/solate/medispatcher/streams/streamstest"
)

type kicker struct{ *streams.Store }

func (k kicker) Kick(ctx context.Context, id string) (int, error) {
	done, err := amender.Run(ctx, k.Store, amender.Options{Partitions: k.Partitions(), Subs: []string{id}, Force: true})
	return done.GivenBack(), err
}

// keptBook replays by the rules of a dispatcher whose subscriptions want everything.
type keptBook struct{ *streams.Store }

var keptRules = streams.KeptRules{
	MaxBody: 1000, DecodeItem: rescue.DecodeItem,
	Wanted: func(topic string) bool { return len(paneltest.AnyTopic().Route(topic)) > 0 }, Exists: func(string) bool { return true },
}

func (b keptBook) ReplayKept(ctx context.Context, place medispatcher.KeptPlace, ids []string) (medispatcher.KeptDone, error) {
	return b.Store.ReplayKept(ctx, place, ids, keptRules)
}

func (b keptBook) ReplayAllKept(ctx context.Context, place medispatcher.KeptPlace, more func(done, all int64) bool) (medispatcher.KeptDone, error) {
	return b.Store.ReplayAllKept(ctx, place, keptRules, more)
}

func (b keptBook) ReplayMatchingKept(ctx context.Context, place medispatcher.KeptPlace, q medispatcher.Search, more func(int64) bool) (medispatcher.KeptDone, error) {
	return b.Store.ReplayMatchingKept(ctx, place, q, keptRules, more)
}

var (
	_ panel.Registry = (*streams.Registry)(nil)
	_ panel.Store    = (*streamstest.All)(nil)
)

// client talks to a panel on a real Store.
type client struct {
	t   *testing.T
	url string
}

func (c client) do(status int, method, path, body string, header ...string) (http.Header, string) {
	c.t.Helper()
	r, err := http.NewRequestWithContext(c.t.Context(), method, c.url+path, strings.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		c.t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	answer, err := io.ReadAll(res.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	if res.StatusCode != status {
		c.t.Fatalf("%s %s: %d, want %d: %s", method, path, res.StatusCode, status, answer)
	}
	return res.Header, string(answer)
}

func TestOnRealStore(t *testing.T) {
	mr := miniredis.RunT(t)
	store, err := streams.Open(streams.Config{
		URL: "redis://" + mr.Addr(), Prefix: "medis", Partitions: 1, ID: "d1", DedupeWindow: time.Minute, Readers: 1,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	reg := streams.NewRegistry(store, paneltest.Rules, func(id, problem string) { t.Errorf("%s: %s", id, problem) })
	server := httptest.NewServer(panel.New(panel.Config{MaxBody: 1000, Rules: paneltest.Rules}, panel.Deps{
		Registry: reg, Store: streamstest.AllOf(store), Kicker: kicker{store}, Alerts: paneltest.New(), Kept: keptBook{store}, Router: paneltest.AnyTopic, Ready: func() error { return store.Ping(t.Context()) }, Log: slog.New(slog.DiscardHandler),
	}))
	t.Cleanup(server.Close)
	t.Cleanup(http.DefaultClient.CloseIdleConnections)
	c := client{t: t, url: server.URL}

	// A subscription comes to be, and changes.
	h, _ := c.do(201, "PUT", paneltest.Subs+"/billing", `{"topic":"order.*","urls":["http://127.0.0.1:1/"],"secret":"whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz"}`)
	first := h.Get("ETag")
	h, body := c.do(200, "GET", paneltest.Subs+"/billing", "")
	if h.Get("ETag") != first || !strings.Contains(body, medispatcher.SecretMask) {
		t.Errorf("%v %s", h, body)
	}
	c.do(200, "PUT", paneltest.Subs+"/billing", body) // what was answered can be written back
	if h, _ = c.do(200, "GET", paneltest.Subs+"/billing", ""); h.Get("ETag") == first {
		t.Error("every field was written, and the revision is the same")
	}
	c.do(412, "PATCH", paneltest.Subs+"/billing", `{"concurrency":9}`, "If-Match", first)
	_, body = c.do(200, "PATCH", paneltest.Subs+"/billing", `{"concurrency":9}`, "If-Match", h.Get("ETag"))
	if !strings.Contains(body, `"concurrency":9`) {
		t.Error(body)
	}
	c.do(200, "POST", paneltest.Subs+"/billing/pause", "")
	if sub, _, err := reg.Get(t.Context(), "billing"); err != nil || sub.Secret != "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz" || !sub.Paused {
		t.Errorf("%+v %v", sub, err)
	}

	_, body = c.do(200, "GET", paneltest.Subs+"/billing/history", "")
	if !strings.Contains(body, `"by":"api 127.0.0.1"`) || !strings.Contains(body, `"concurrency":{"from":8,"to":9}`) || !strings.Contains(body, `"paused":{"from":false,"to":true}`) {
		t.Error(body)
	}

	// Bytes arrive as they are.
	raw := "\x00\xff\xfe{\"é\xc3"
	c.do(202, "POST", "/api/v1/topics/order.created/messages", raw, "Idempotency-Key", "k-1", "medis-header-x", "1")
	entries, err := store.ReadIncoming(t.Context(), 0, 10, false) // the group is made by the first read
	if err == nil && len(entries) == 0 {
		entries, err = store.ReadIncoming(t.Context(), 0, 10, false)
	}
	if err != nil || len(entries) != 1 {
		t.Fatal(entries, err)
	}
	m, err := medispatcher.DecodeEntry(entries[0].Fields(), entries[0].Time())
	if err != nil || !bytes.Equal(m.Body, []byte(raw)) || m.ID != "k-1" || m.Headers["x"] != "1" {
		t.Errorf("%+v %v", m, err)
	}
	if _, err := store.Fanout(t.Context(), 0, []streams.Routing{{EntryID: entries[0].ID, Message: m, Subs: []string{"billing"}}}); err != nil {
		t.Fatal(err)
	}

	var st medispatcher.Status
	_, body = c.do(200, "GET", "/api/v1/status", "")
	if err := json.Unmarshal([]byte(body), &st); err != nil || len(st.Subscriptions) != 1 || st.Dispatchers == nil || st.Revision < 1 {
		t.Fatal(body, err)
	}
	if s := st.Subscriptions[0]; s.State != "paused" || s.Ready != 1 || s.Topic != "order.*" {
		t.Errorf("%+v", s)
	}
	if _, body = c.do(200, "GET", paneltest.Subs+"?topic=order.created", ""); !strings.Contains(body, `"id":"billing"`) {
		t.Error(body)
	}

	// It goes only with its messages.
	if _, body = c.do(409, "DELETE", paneltest.Subs+"/billing", ""); !strings.Contains(body, "1 READY") {
		t.Error(body)
	}
	c.do(204, "DELETE", paneltest.Subs+"/billing?purge=true", "")
	c.do(404, "GET", paneltest.Subs+"/billing", "")
	if mr.Exists("medis:{0}:ch:billing") {
		t.Error("its channel is left")
	}

	// Redis goes away.
	c.do(200, "GET", "/readyz", "")
	mr.SetError("OOM command not allowed when used memory > 'maxmemory'.")
	if _, body = c.do(503, "POST", "/api/v1/topics/a/messages", "x"); !strings.Contains(body, "OOM") {
		t.Error(body)
	}
	mr.Close()
	h, _ = c.do(503, "POST", "/api/v1/topics/a/messages", "x")
	if h.Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
	c.do(503, "GET", paneltest.Subs, "")
	c.do(503, "GET", "/api/v1/status", "")
	c.do(503, "GET", "/readyz", "")
	c.do(200, "GET", "/healthz", "")
}

// TestOperating: what an operator does to a subscription that runs, on both Redises.
func TestOperating(t *testing.T) {
	streamstest.Each(t, func(t *testing.T, env *streamstest.Env) {
		cfg := env.Config("d1")
		cfg.Partitions = 2
		store := env.Open(t, cfg)
		reg := streams.NewRegistry(store, paneltest.Rules, func(id, problem string) { t.Errorf("%s: %s", id, problem) })
		server := httptest.NewServer(panel.New(panel.Config{Rules: paneltest.Rules}, panel.Deps{
			Registry: reg, Store: streamstest.AllOf(store), Kicker: kicker{store}, Alerts: paneltest.New(), Kept: keptBook{store}, Router: paneltest.AnyTopic, Ready: func() error { return nil }, Log: slog.New(slog.DiscardHandler),
		}))
		t.Cleanup(server.Close)
		t.Cleanup(http.DefaultClient.CloseIdleConnections)
		c := client{t: t, url: server.URL}
		says := func(want string, status int, method, path, body string) {
			t.Helper()
			if _, got := c.do(status, method, paneltest.Subs+path, body); got != want {
				t.Errorf("%s %s: %s, want %s", method, path, got, want)
			}
		}
		ids := map[string][]string{}
		fill := func(key string, n int) {
			t.Helper()
			for range n {
				id, err := env.Client.Do(t.Context(), "XADD", key, "*", "topic", "order.created", "body", "\xff", "~src", "1-1").Text()
				if err != nil {
					t.Fatal(err)
				}
				ids[key] = append(ids[key], id)
			}
		}
		channel := medispatcher.Channel{Subscription: "billing"}
		wants := []medispatcher.Want{{Channel: channel, Max: 2}}
		c.do(201, "PUT", paneltest.Subs+"/billing", `{"topic":"order.*","urls":["http://127.0.0.1:1/"]}`)

		// Kick: what waits an hour is due now.
		fill("medis:{0}:ch:billing", 3)
		_, _ = store.Read(t.Context(), wants) // makes the group
		read, err := store.Read(t.Context(), wants)
		if err != nil || len(read) != 2 {
			t.Fatal(read, err)
		}
		if err := store.Retry(t.Context(), 0, []medispatcher.Settlement{
			{Channel: channel, EntryID: read[0].EntryID, Outcome: medispatcher.Failed, Attempt: 1, Delay: time.Hour},
		}); err != nil {
			t.Fatal(err)
		}
		if err := store.Heartbeat(t.Context(), medispatcher.Dispatcher{DeadAfter: time.Minute}); err != nil {
			t.Fatal(err) // the second one is in flight at a dispatcher that lives
		}
		says(`{"kicked":1}`+"\n", 200, "POST", "/billing/kick", "")
		says(`{"kicked":0}`+"\n", 200, "POST", "/billing/kick", "")
		if due, _, err := store.Due(t.Context(), 0, wants); err != nil || len(due) != 1 || due[0].Attempt != 2 {
			t.Errorf("due %+v, %v", due, err)
		}

		// Purge.
		fill("medis:{1}:ch:billing", 4)
		says(`{"ready":5,"buried":2}`+"\n", 200, "POST", "/billing/purge", "")
		says(`{"ready":0,"buried":0}`+"\n", 200, "POST", "/billing/purge", "")

		// Dead letters.
		fill("medis:{0}:dead:billing", 3)
		fill("medis:{1}:dead:billing", 2)
		dead := func(p, i int) string {
			return fmt.Sprintf("%d-%s", p, ids[fmt.Sprintf("medis:{%d}:dead:billing", p)][i])
		}
		_, page := c.do(200, "GET", paneltest.Subs+"/billing/dead?limit=2", "")
		_, next, _ := strings.Cut(page, `"next":"`)
		next, _, _ = strings.Cut(next, `"`)
		if next == "" || !strings.Contains(page, `"body_base64":"/w=="`) {
			t.Error(page)
		}
		_, rest := c.do(200, "GET", paneltest.Subs+"/billing/dead?limit=3&after="+next, "")
		if strings.Count(rest, `"died"`) != 3 || strings.Contains(rest, `"next"`) || !strings.Contains(page+rest, dead(1, 1)) || !strings.Contains(page+rest, dead(0, 2)) {
			t.Error(page, rest)
		}
		if _, n := c.do(200, "GET", paneltest.Subs+"/billing/dead/count?q=ORDER", ""); !strings.HasPrefix(n, `{"matching":5,"searched":5,"until":"`) {
			t.Error(n)
		}
		c.do(200, "GET", paneltest.Subs+"/billing/dead/"+dead(1, 0), "")
		says(`{"replayed":1,"remaining":0,"missing":1}`+"\n", 200, "POST", "/billing/dead/replay", `{"ids":["`+dead(0, 0)+`","0-1-1"]}`)
		says(`{"purged":1,"remaining":0}`+"\n", 200, "DELETE", "/billing/dead?id="+dead(1, 0), "")
		c.do(404, "GET", paneltest.Subs+"/billing/dead/"+dead(1, 0), "")
		c.do(422, "POST", paneltest.Subs+"/billing/dead/replay", `{"ids":["2-1-1"]}`) // there is no such partition
		says(`{"replayed":3,"remaining":0}`+"\n", 200, "POST", "/billing/dead/replay", "")
		fill("medis:{1}:dead:billing", 2)
		says(`{"purged":2,"remaining":0}`+"\n", 200, "DELETE", "/billing/dead", "")

		// What was removed and left something behind can be looked at, and emptied.
		fill("medis:{1}:dead:billing", 1)
		c.do(204, "DELETE", paneltest.Subs+"/billing?purge=true", "")
		c.do(404, "POST", paneltest.Subs+"/billing/purge", "")
		fill("medis:{0}:dead:billing", 1)
		c.do(200, "GET", paneltest.Subs+"/billing/dead", "")
		says(`{"purged":1,"remaining":0}`+"\n", 200, "DELETE", "/billing/dead", "")
		c.do(404, "GET", paneltest.Subs+"/billing/dead", "")
		counts, err := report.New(store).Windows(t.Context(), []string{"purged:", "replayed:"}) // its own counts went with it
		if err != nil || counts["purged:"].Total != 7+1+2+(4+1)+1 || counts["replayed:"].Total != 4 {
			t.Errorf("counts %v, %v", counts, err)
		}
	})
}
