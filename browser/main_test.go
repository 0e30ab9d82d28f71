package browser_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"go.uber.org/goleak"
)

// token is the admin token of every panel in these tests.
const token = "a-token-for-the-tests"

// binary is the path of the dispatcher, chromium that of the browser. Both are empty without a browser.
var binary, chromium string

func TestMain(m *testing.M) {
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			chromium = path
			break
		}
	}
	code := 1
	switch {
	case chromium != "":
		code = withBinary(m.Run)
	case os.Getenv("MEDIS_TEST_REQUIRE_BROWSER") == "1":
		fmt.Println("Chromium was not found, and MEDIS_TEST_REQUIRE_BROWSER=1 requires it")
	default:
		fmt.Println("skipped the tests in a browser: Chromium was not found")
		code = 0
	}
	if code == 0 {
		http.DefaultClient.CloseIdleConnections()
		if err := goleak.Find(); err != nil {
			fmt.Println(err)
			code = 1
		}
	}
	os.Exit(code)
}

func withBinary(run func() int) int {
	dir, err := os.MkdirTemp("", "medis-browser")
	if err != nil {
		panic(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	binary = filepath.Join(dir, "medispatcher")
	if out, err := exec.Command("go", "build", "-o", binary, "../cmd/medispatcher").CombinedOutput(); err != nil {
		fmt.Printf("build: %v\n%s", err, out)
		return 1
	}
	return run()
}

// panel is a dispatcher on an embedded Redis.
type panel struct {
	t    *testing.T
	url  string
	stop func()
}

func startPanel(t *testing.T, args ...string) *panel {
	t.Helper()
	cmd := exec.Command(binary, append([]string{"dev"}, args...)...)
	cmd.Env = append(os.Environ(), "MEDIS_LISTEN=127.0.0.1:0", "MEDIS_DEV_REDIS_LISTEN=127.0.0.1:0", "MEDIS_ADMIN_TOKEN="+token,
		"MEDIS_LOG_FORMAT=json", "MEDIS_DATA_LOG="+filepath.Join(t.TempDir(), "data.log"))
	logs, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p := &panel{t: t}
	p.stop = sync.OnceFunc(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
	})
	t.Cleanup(p.stop)
	listens := make(chan string, 1)
	go func() {
		lines := bufio.NewScanner(logs)
		for lines.Scan() {
			var l struct{ Msg, Listen string }
			if json.Unmarshal(lines.Bytes(), &l) == nil && l.Msg == "medispatcher runs" {
				listens <- "http://" + l.Listen
			}
		}
	}()
	select {
	case p.url = <-listens:
	case <-time.After(30 * time.Second):
		t.Fatal("the dispatcher has not started after 30 s")
	}
	return p
}

// api calls the API and returns its answer.
func (p *panel) api(method, path, body string, header ...string) string {
	p.t.Helper()
	r, err := http.NewRequestWithContext(p.t.Context(), method, p.url+"/api/v1"+path, strings.NewReader(body))
	if err != nil {
		p.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		p.t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	answer, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode >= 300 {
		p.t.Fatalf("%s %s: got %d %s and error %v, want a 2xx", method, path, res.StatusCode, answer, err)
	}
	return string(answer)
}

// worker is a subscriber's worker that can fail requests or hold them open.
type worker struct {
	*httptest.Server
	mu     sync.Mutex
	broken string        // the text of its 500; empty: it accepts everything
	hold   chan struct{} // it answers when this is closed; nil: at once
	bodies []string      // accepted, in order
	inside int           // requests in flight
}

func newWorker(t *testing.T) *worker {
	t.Helper()
	w := &worker{}
	w.Server = httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.mu.Lock()
		w.inside++
		hold, broken := w.hold, w.broken
		w.mu.Unlock()
		if hold != nil {
			select {
			case <-hold:
			case <-r.Context().Done():
			}
		}
		w.mu.Lock()
		defer w.mu.Unlock()
		w.inside--
		if broken != "" {
			http.Error(rw, broken, http.StatusInternalServerError)
			return
		}
		w.bodies = append(w.bodies, string(body))
	}))
	t.Cleanup(w.Close)
	return w
}

func (w *worker) set(change func(w *worker)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	change(w)
}

func (w *worker) took() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.bodies)
}

// await waits until a condition on the worker holds.
func (w *worker) await(t *testing.T, what string, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	timeout := time.After(time.Minute)
	for {
		w.mu.Lock()
		done := holds()
		w.mu.Unlock()
		if done {
			return
		}
		select {
		case <-tick.C:
		case <-timeout:
			t.Fatalf("not within a minute: %s", what)
		}
	}
}

// browser is one tab of a fresh Chromium.
type browser struct {
	t   *testing.T
	ctx context.Context
	mu  sync.Mutex
	bad []string // complaints that hears recorded
}

type action = chromedp.Action[chromedp.Void]

func newBrowser(t *testing.T, flags ...chromedp.ExecAllocatorOption) *browser {
	t.Helper()
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(chromium), chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true),
		chromedp.UserDataDir(t.TempDir()), chromedp.WSURLReadTimeout(time.Minute))
	ctx, cancel := chromedp.NewExecAllocator(context.Background(), append(options, flags...)...)
	tab, closeTab := chromedp.NewContext(ctx)
	b := &browser{t: t, ctx: tab}
	t.Cleanup(func() {
		_ = chromedp.Cancel(tab)
		closeTab()
		cancel()
	})
	if err := chromedp.Listen(tab, b.hears); err != nil { // starts the browser
		t.Fatal(err)
	}
	if err := chromedp.Do(tab); err != nil {
		t.Fatal(err)
	}
	return b
}

// hears records exceptions of scripts and violations of the Content-Security-Policy.
func (b *browser) hears(e any) {
	text := ""
	switch e := e.(type) {
	case *runtime.EventExceptionThrown:
		text = e.ExceptionDetails.Text
		if e.ExceptionDetails.Exception != nil {
			text += " " + e.ExceptionDetails.Exception.Description
		}
	case *log.EventEntryAdded:
		if e.Entry.Source == log.EntrySourceSecurity {
			text = e.Entry.Text
		}
	}
	if text != "" {
		b.mu.Lock()
		b.bad = append(b.bad, text)
		b.mu.Unlock()
	}
}

// complaints fails the test if the browser reported any.
func (b *browser) complaints() {
	b.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.bad) > 0 {
		b.t.Errorf("the browser reported errors, want none:\n%s", strings.Join(b.bad, "\n"))
	}
}

// do runs actions. Each waits until its element is there.
func (b *browser) do(what string, actions ...action) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, time.Minute)
	defer cancel()
	if err := chromedp.Do(ctx, actions...); err != nil {
		page, _ := chromedp.Run(b.ctx, chromedp.Evaluate[string](`location.href + "\n" + document.body.innerText`))
		b.t.Fatalf("%s: %v\n%s", what, err, page)
	}
}

// sees waits until a JavaScript condition holds on the page, which updates itself. The page may
// navigate meanwhile.
func (b *browser) sees(what, condition string) {
	b.t.Helper()
	b.do("waiting to see "+what, chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		tick := time.NewTicker(100 * time.Millisecond)
		defer tick.Stop()
		for {
			holds, err := chromedp.Evaluate[bool]("Boolean("+condition+")")(ctx, t)
			if err == nil && holds {
				return nil
			}
			select {
			case <-ctx.Done():
				return errors.Join(ctx.Err(), err)
			case <-tick.C:
			}
		}
	}))
}

// shows waits until an element that selector matches contains a text.
func (b *browser) shows(selector, text string) {
	b.t.Helper()
	b.sees(fmt.Sprintf("%q in %s", text, selector),
		fmt.Sprintf(`[...document.querySelectorAll(%q)].some(e => e.innerText.includes(%q))`, selector, text))
}

func (b *browser) eval(expression string) string {
	b.t.Helper()
	v, err := chromedp.Run(b.ctx, chromedp.Evaluate[string](expression))
	if err != nil {
		b.t.Fatalf("%s: %v", expression, err)
	}
	return v
}

func (b *browser) open(url string) {
	b.t.Helper()
	b.do("open "+url, chromedp.Navigate(url))
	b.sees("the page loaded", `document.readyState === "complete"`)
}

func (b *browser) signIn(p *panel, path string) {
	b.t.Helper()
	b.open(p.url + path)
	b.do("sign in", fill("#token", token), click("main button[type=submit]"))
	b.sees("a page after the sign-in", `location.pathname !== "/signin" && document.readyState === "complete"`)
}

// fill replaces the value of a field by typing.
func fill(selector, text string) action {
	css := chromedp.CSS(selector)
	return chromedp.Steps(
		chromedp.WaitVisible(css),
		chromedp.Evaluate[chromedp.Void](fmt.Sprintf(`document.querySelector(%q).select()`, selector)),
		chromedp.SendKeys(css, text),
	)
}

// slash presses the key /. chromedp.KeyEvent would type it as well, whatever the page does about the key.
func slash() action {
	return chromedp.Evaluate[chromedp.Void](`document.body.dispatchEvent(new KeyboardEvent("keydown", { key: "/", bubbles: true, cancelable: true })) && undefined`)
}

func click(selector string) action {
	return chromedp.Steps(
		chromedp.WaitVisible(chromedp.CSS(selector)), chromedp.WaitEnabled(chromedp.CSS(selector)),
		chromedp.Click(chromedp.CSS(selector)),
	)
}
