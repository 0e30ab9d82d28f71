package openapi_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

const token = "a-token-for-tests-alone"

// dispatcher is `medispatcher dev`: everything in one process, on an embedded Redis.
type dispatcher struct{ url string }

var binDir string

func TestMain(m *testing.M) {
	var err error
	if binDir, err = os.MkdirTemp("", "medispatcher"); err != nil {
		panic(err)
	}
	code := m.Run()
	_ = os.RemoveAll(binDir)
	os.Exit(code)
}

var build = sync.OnceValues(func() (string, error) {
	bin := filepath.Join(binDir, "medispatcher")
	out, err := exec.Command("go", "build", "-C", "..", "-o", bin, "./cmd/medispatcher").CombinedOutput()
	if err != nil {
		_, _ = os.Stderr.Write(out)
	}
	return bin, err
})

func startDispatcher(t *testing.T) *dispatcher {
	t.Helper()
	bin, err := build()
	if err != nil {
		t.Fatal(err)
	}
	addr := freeAddr(t)
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, bin, "dev")
	cmd.Env = []string{"MEDIS_LISTEN=" + addr, "MEDIS_DEV_REDIS_LISTEN=127.0.0.1:0", "MEDIS_ADMIN_TOKEN=" + token, "MEDIS_RETRY_COEFFICIENT=10s", "MEDIS_RETENTION=1h"}
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 10 * time.Second
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	read := make(chan struct{})
	go func() { defer close(read); _, _ = io.Copy(&log, bufio.NewReader(stderr)) }()
	t.Cleanup(func() {
		cancel()
		<-read
		_ = cmd.Wait()
		if t.Failed() {
			t.Log(log.String())
		}
	})
	d := &dispatcher{"http://" + addr}
	deadline := time.Now().Add(20 * time.Second)
	for {
		resp, err := http.Get(d.url + "/readyz")
		if err == nil {
			_ = resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return d
			}
		}
		if time.Now().After(deadline) {
			t.Fatal("the dispatcher is not ready after 20 s: ", err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func freeAddr(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}

// document returns the served document, indented and with a fixed version.
func (d *dispatcher) document(t *testing.T) []byte {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, d.url+"/openapi.json", nil)
	if err != nil {
		t.Fatal(err)
	}
	authorize(req)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	var doc map[string]any
	if err := json.NewDecoder(resp.Body).Decode(&doc); err != nil {
		t.Fatal(err)
	}
	doc["info"].(map[string]any)["version"] = "1"
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(doc); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func authorize(req *http.Request) { req.Header.Set("Authorization", "Bearer "+token) }

// unused returns the documented operations that had no request.
func (h *held) unused() (out []string) {
	var doc struct {
		Paths map[string]map[string]struct{ OperationID string }
	}
	if err := json.Unmarshal(h.d.document(h.t), &doc); err != nil {
		h.t.Fatal(err)
	}
	parameter := regexp.MustCompile(`\\\{[a-z]+\\\}`) // as QuoteMeta writes it
	for path, operations := range doc.Paths {
		pattern := regexp.MustCompile("^" + parameter.ReplaceAllString(regexp.QuoteMeta(path), "[^/]+") + "$")
		for method, op := range operations {
			used := false
			for seen := range h.seen {
				m, p, _ := strings.Cut(seen, " ")
				used = used || m == strings.ToUpper(method) && pattern.MatchString(p)
			}
			if !used {
				out = append(out, op.OperationID)
			}
		}
	}
	return out
}

// held is a client that checks every request and answer against the document.
type held struct {
	t    *testing.T
	d    *dispatcher
	seen map[string]bool // method and path of every request that was answered, such as "GET /api/v1/status"

	check func(*http.Request, *http.Response) []string
}

func hold(t *testing.T, d *dispatcher) *held {
	v := newValidator(t, d.document(t))
	return &held{t: t, d: d, seen: map[string]bool{}, check: func(req *http.Request, resp *http.Response) (out []string) {
		_, problems := v.ValidateHttpResponse(req, resp)
		if resp.StatusCode < 300 {
			_, more := v.ValidateHttpRequestSync(req)
			problems = append(problems, more...)
		}
		for _, p := range problems {
			text := p.Message + ": " + p.Reason
			for _, s := range p.SchemaValidationErrors {
				text += "; " + s.FieldPath + " " + s.Reason
			}
			out = append(out, text)
		}
		return out
	}}
}

// Do sends a request and checks it and its answer.
func (h *held) Do(req *http.Request) (*http.Response, error) {
	var sent []byte
	if req.Body != nil {
		sent, _ = io.ReadAll(req.Body)
		req.Body = io.NopCloser(bytes.NewReader(sent))
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	_ = resp.Body.Close()
	req.Body, resp.Body = io.NopCloser(bytes.NewReader(sent)), io.NopCloser(bytes.NewReader(body))
	check := h.check
	if lines := "application/x-ndjson"; req.Header.Get("Content-Type") == lines || resp.Header.Get("Content-Type") == lines {
		check = func(*http.Request, *http.Response) []string { return nil } // the validator takes a body for one JSON value
	}
	for _, problem := range check(req, resp) {
		h.t.Errorf("%s %s, answered with %d %s, does not match the document: %s", req.Method, req.URL.Path, resp.StatusCode, body, problem)
	}
	h.seen[req.Method+" "+req.URL.Path] = true
	resp.Body = io.NopCloser(bytes.NewReader(body))
	return resp, nil
}
