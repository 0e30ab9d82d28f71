package examples

import (
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/verify"
)

// requireAll is the variable that, set to 1, makes a missing interpreter a failure instead of a skip.
const requireAll = "MEDIS_TEST_REQUIRE_EXAMPLES"

const (
	secret  = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	retired = "whsec_QkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJC"
	wrong   = "whsec_QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFB"

	partitions = "4"
	token      = "a-token-for-the-test-of-examples"
	nowhere    = "redis://127.0.0.1:1/0" // nobody listens there
)

// language is how the examples of one are run. A command may name $TMP, a folder of the test.
type language struct {
	name    string
	dir     string
	can     [][]string // programs that must run without an error, the first that is missing is named
	build   []string
	publish []string // and its arguments
	receive []string
}

// python is the interpreter that has the packages: Debian's, unless another one has them.
func python() string {
	const debian = "/usr/bin/python3"
	if _, err := os.Stat(debian); err == nil {
		return debian
	}
	return "python3"
}

func languages() []language {
	return []language{
		{
			name: "go", dir: ".", build: []string{"go", "build", "-o", "$TMP/", "./go/publish", "./go/receive"},
			publish: []string{"$TMP/publish"}, receive: []string{"$TMP/receive"},
		},
		{
			name: "node", dir: "node",
			can:     [][]string{{"node", "-e", "require.resolve('express'); require.resolve('redis'); require.resolve('standardwebhooks')"}},
			publish: []string{"node", "publish.js"}, receive: []string{"node", "receive.js"},
		},
		{
			name: "python", dir: "python", can: [][]string{{python(), "-c", "import flask, redis"}},
			publish: []string{python(), "publish.py"}, receive: []string{python(), "receive.py"},
		},
		{
			name: "php", dir: "php", can: [][]string{{"php", "-r", "new Redis(); curl_init();"}},
			publish: []string{"php", "publish.php"}, receive: []string{"php", "-S", "127.0.0.1:0", "receive.php"},
		},
		{
			name: "ruby", dir: "ruby", can: [][]string{{"ruby", "-e", "require 'redis'; require 'webrick'"}},
			publish: []string{"ruby", "publish.rb"}, receive: []string{"ruby", "receive.rb"},
		},
		{
			name: "java", dir: "java", can: [][]string{{"javac", "-version"}},
			build:   []string{"javac", "-d", "$TMP", "Publish.java", "Receive.java"},
			publish: []string{"java", "-cp", "$TMP", "Publish"}, receive: []string{"java", "-cp", "$TMP", "Receive"},
		},
	}
}

// TestExamples: what each example publishes reaches each way into the dispatchers, and what it receives it
// takes only with a good signature.
func TestExamples(t *testing.T) {
	t.Parallel()
	d := startDispatcher(t)
	for _, l := range languages() {
		t.Run(l.name, func(t *testing.T) {
			t.Parallel()
			p := prepare(t, l)
			worker := p.start(t, p.receive, "PORT=0", "WEBHOOK_SECRETS="+secret+" "+retired)
			url := worker.await(t, `http://127\.0\.0\.1:\d+`)
			d.subscribe(t, l.name, url+"/")
			for _, way := range []struct {
				name, how string
				env       []string
			}{
				{"XADD", "redis", []string{"REDIS_URL=" + d.redis}},
				{"recover list", "redis", []string{"REDIS_URL=" + nowhere, "RECOVER_REDIS_URL=" + d.redis}},
				{"HTTP", "http", []string{"MEDIS_URL=" + d.url, "MEDIS_TOKEN=" + token}},
			} {
				body := `{"order":"` + way.name + `","to":"Zoë \"Ö\""}`
				p.run(t, p.publish, append(way.env, "MEDIS_PARTITIONS="+partitions), way.how, l.name+".created", body)
				worker.awaitText(t, l.name+".created "+body)
			}
			checkSignatures(t, url+"/")
			checkPartition(t, p)
			checkMistakes(t, p, d)
		})
	}
}

// checkSignatures sends pushes that are good, and ones that are not.
func checkSignatures(t *testing.T, url string) {
	t.Helper()
	const body = `{"order":42}`
	now := time.Now() // of all: a signature is that of a second
	push := func(name string, want int, change func(h http.Header) string) {
		t.Helper()
		h := http.Header{"Content-Type": {"application/json"}, "Medis-Topic": {"a.b"}}
		if err := verify.Sign(h, secret, "0-1-0", now, []byte(body)); err != nil {
			t.Fatal(err)
		}
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(change(h)))
		if err != nil {
			t.Fatal(err)
		}
		req.Header = h
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			if want != 413 { // a worker may close the connection before it has read too much
				t.Error(name, err)
			}
			return
		}
		_ = resp.Body.Close()
		if resp.StatusCode != want {
			t.Errorf("%s: answered %d, want %d", name, resp.StatusCode, want)
		}
	}
	by := func(secret string, at time.Time) func(h http.Header) string {
		return func(h http.Header) string {
			if err := verify.Sign(h, secret, "0-1-0", at, []byte(body)); err != nil {
				t.Fatal(err)
			}
			return body
		}
	}
	push("good", 204, func(http.Header) string { return body })
	push("by the retired secret", 204, by(retired, now))
	push("two signatures", 204, func(h http.Header) string {
		good := h.Get(verify.HeaderSignature)
		by(wrong, now)(h)
		h.Set(verify.HeaderSignature, h.Get(verify.HeaderSignature)+" "+good)
		return body
	})
	push("by another secret", 401, by(wrong, now))
	push("an hour old", 401, by(secret, now.Add(-time.Hour)))
	push("an hour ahead", 401, by(secret, now.Add(time.Hour)))
	push("another body", 401, func(http.Header) string { return body + " " })
	push("another id", 401, func(h http.Header) string { h.Set(verify.HeaderID, "0-1-1"); return body })
	push("no time", 401, func(h http.Header) string { h.Set(verify.HeaderTimestamp, "now"); return body })
	for _, name := range []string{verify.HeaderID, verify.HeaderTimestamp, verify.HeaderSignature} {
		push("without "+name, 401, func(h http.Header) string { h.Del(name); return body })
	}
	push("a large body", 413, func(h http.Header) string {
		large := strings.Repeat("x", 5<<20)
		if err := verify.Sign(h, secret, "0-1-0", now, []byte(large)); err != nil {
			t.Fatal(err)
		}
		return large
	})
}

// checkMistakes: an example that is called in a wrong way says how to call it, and publishes nothing. A worker takes no secret
// that is none: with an empty key anybody can sign.
func checkMistakes(t *testing.T, p *prepared, d *dispatcher) {
	t.Helper()
	m := miniredis.RunT(t)
	for _, args := range [][]string{{}, {"a.b"}, {"a.b", "{}"}, {"htpp", "a.b", "{}"}, {"redis", "a.b", "{}", "more"}} {
		cmd := p.command(t, append(append([]string{}, p.publish...), args...), []string{"REDIS_URL=redis://" + m.Addr() + "/0"})
		if out, err := cmd.CombinedOutput(); err == nil || !strings.Contains(string(out), "usage: ") || len(m.Keys()) > 0 {
			t.Errorf("publish %q: %v, Redis holds %v\n%s", args, err, m.Keys(), out)
		}
	}
	cmd := p.command(t, append(append([]string{}, p.publish...), "http", "a..b", "{}"), []string{"MEDIS_URL=" + d.url, "MEDIS_TOKEN=" + token})
	if out, err := cmd.CombinedOutput(); err == nil || !strings.Contains(string(out), "empty level") {
		t.Errorf("a refused topic: %v\n%s", err, out)
	}
	for _, secrets := range []string{"", "whsec_", "whsec_?", strings.TrimPrefix(secret, "whsec_"), secret + " whsec_"} {
		worker := p.start(t, p.receive, "PORT=0", "WEBHOOK_SECRETS="+secrets)
		if p.name != "php" {
			worker.awaitText(t, "WEBHOOK_SECRETS")
			continue
		}
		url := worker.await(t, `http://127\.0\.0\.1:\d+`) // its server starts before the script
		h := http.Header{}
		if err := verify.Sign(h, secret, "0-1-0", time.Now(), nil); err != nil {
			t.Fatal(err)
		}
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		req.Header = h
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != 500 {
			t.Errorf("secrets %q: answered %d, want 500", secrets, resp.StatusCode)
		}
	}
}

// checkPartition looks at what a producer writes: the partition is that of the id.
func checkPartition(t *testing.T, p *prepared) {
	t.Helper()
	m := miniredis.RunT(t)
	p.run(t, p.publish, []string{"REDIS_URL=redis://" + m.Addr() + "/0", "MEDIS_PARTITIONS=64"}, "redis", "a.b", "x")
	for _, key := range m.Keys() {
		entries, err := m.Stream(key)
		if err != nil || len(entries) != 1 {
			t.Fatal(key, entries, err)
		}
		fields := map[string]string{}
		for i := 0; i+1 < len(entries[0].Values); i += 2 {
			fields[entries[0].Values[i]] = entries[0].Values[i+1]
		}
		if want := incoming(medispatcher.Partition(fields["key"], fields["id"], 64)); key != want || fields["topic"] != "a.b" || fields["body"] != "x" {
			t.Errorf("%s holds %v, want it in %s", key, fields, want)
		}
	}
}
