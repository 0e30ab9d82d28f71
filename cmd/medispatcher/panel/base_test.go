package panel_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/solate/medispatcher/cmd/medispatcher/panel"
	"github.com/solate/medispatcher/cmd/medispatcher/panel/paneltest"
)

var linkOf = regexp.MustCompile(`(?:href|src|action|data-url|data-then|data-count)="([^"]*)"`)

// TestBasePath: behind a proxy that serves the dispatcher below a path, whether it passes the path on or cuts it off, every page,
// link, redirect and cookie stays below that path, and the API works there.
func TestBasePath(t *testing.T) {
	const token = "5f2e9b40c8d71a3608"
	f := paneltest.New("billing")
	f.Letters = paneltest.DeadLetters()
	f.Counts.Dead = 3
	f.Letters[0].Message.Body = []byte(`<a href="/stays">`)
	backend := httptest.NewServer(paneltest.Handler(f, panel.Config{Tokens: paneltest.Admin(token), Rules: paneltest.Rules, BasePath: "/ops/medis"}))
	t.Cleanup(backend.Close)
	to, _ := url.Parse(backend.URL)
	for _, cuts := range []bool{false, true} {
		proxy := httputil.NewSingleHostReverseProxy(to)
		mux := http.NewServeMux()
		if cuts {
			mux.Handle("/ops/medis/", http.StripPrefix("/ops/medis", proxy))
		} else {
			mux.Handle("/ops/medis/", proxy)
			mux.Handle("/ops/medis", proxy)
		}
		front := httptest.NewServer(mux)
		t.Cleanup(front.Close)
		jar, _ := cookiejar.New(nil)
		client := &http.Client{Jar: jar}
		t.Cleanup(client.CloseIdleConnections)
		get := func(path string) (string, *http.Response) {
			t.Helper()
			r, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, front.URL+path, nil)
			r.Header.Set("Accept", "text/html")
			res, err := client.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = res.Body.Close() }()
			body, err := io.ReadAll(res.Body)
			if err != nil || res.StatusCode != http.StatusOK {
				t.Fatalf("cuts %v, %s: %d, %v: %s", cuts, path, res.StatusCode, err, body)
			}
			return string(body), res
		}

		page, res := get("/ops/medis/subscriptions?q=bill")
		if res.Request.URL.Path != "/ops/medis/signin" || res.Request.URL.Query().Get("next") != "/subscriptions?q=bill" {
			t.Fatalf("cuts %v: sent to %s", cuts, res.Request.URL)
		}
		if !strings.Contains(page, `action="/ops/medis/signin"`) {
			t.Errorf("cuts %v: the form leads elsewhere: %s", cuts, page)
		}
		res, err := client.PostForm(front.URL+"/ops/medis/signin", url.Values{"token": {token}, "next": {"/subscriptions?q=bill"}})
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		if at := res.Request.URL.RequestURI(); res.StatusCode != http.StatusOK || at != "/ops/medis/subscriptions?q=bill" {
			t.Fatalf("cuts %v: signed in to %d %s", cuts, res.StatusCode, at)
		}
		if others := jar.Cookies(&url.URL{Scheme: "http", Host: to.Hostname(), Path: "/other"}); len(others) > 0 {
			t.Errorf("cuts %v: another path of the host gets %v", cuts, others)
		}

		for _, path := range []string{"/", "/subscriptions", "/subscriptions/billing", "/subscriptions/billing/dead?q=m", "/subscriptions/billing/dead/0-1-0", "/dead", "/topics", "/search?q=bill", "/alerts", "/publish?topic=order.x", "/subscribe"} {
			page, _ := get("/ops/medis" + path)
			links := linkOf.FindAllStringSubmatch(page, -1)
			if len(links) < 8 {
				t.Errorf("cuts %v, %s: %d links", cuts, path, len(links))
			}
			for _, link := range links {
				if strings.HasPrefix(link[1], "/") && !strings.HasPrefix(link[1], "/ops/medis/") {
					t.Errorf("cuts %v, %s: %s leaves the path", cuts, path, link[0])
				}
			}
			if path == "/subscriptions/billing/dead/0-1-0" && !strings.Contains(page, `&lt;a href=&#34;/stays&#34;&gt;`) {
				t.Errorf("a body was changed: %s", page)
			}
			if script := regexp.MustCompile(`src="([^"]+app\.js)"`).FindStringSubmatch(page); script == nil {
				t.Errorf("%s has no script", path)
			} else if js, _ := get(script[1]); !strings.Contains(js, "import") {
				t.Errorf("%s is not the script", script[1])
			}
		}
		var doc struct {
			Servers []struct{ URL string } `json:"servers"`
		}
		if raw, _ := get("/ops/medis/openapi.json"); json.Unmarshal([]byte(raw), &doc) != nil || len(doc.Servers) != 1 || doc.Servers[0].URL != "/ops/medis" {
			t.Errorf("the document names the servers %v", doc.Servers)
		}
		get("/ops/medis/api/v1/subscriptions/billing")
	}
	for _, path := range []string{"/healthz", "/readyz", "/ops/medis/healthz"} {
		if w := paneltest.Get(t, paneltest.Handler(f, panel.Config{BasePath: "/ops/medis"}), path); w.Code != http.StatusOK {
			t.Errorf("%s: %d", path, w.Code)
		}
	}
	if w := paneltest.Get(t, paneltest.Handler(f, panel.Config{BasePath: "/ops/medis"}), "/ops/medis"); w.Header().Get("Location") != "/ops/medis/" {
		t.Errorf("the path without its slash: %d %v", w.Code, w.Header())
	}
}
