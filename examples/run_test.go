package examples

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/solate/medispatcher/streams/streamstest"
)

func incoming(partition int) string { return fmt.Sprintf("medis:{%d}:incoming", partition) }

// output is what a process prints, for those who wait for it.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
	more chan struct{} // closed at each write
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.more != nil {
		close(o.more)
		o.more = nil
	}
	return o.text.Write(p)
}

// await waits until the pattern was printed, and returns what matched.
func (o *output) await(t *testing.T, pattern string) string {
	t.Helper()
	at := regexp.MustCompile(pattern)
	timeout := time.After(time.Minute)
	for {
		o.mu.Lock()
		text := o.text.String()
		if o.more == nil {
			o.more = make(chan struct{})
		}
		more := o.more
		o.mu.Unlock()
		if found := at.FindString(text); found != "" {
			return found
		}
		select {
		case <-more:
		case <-timeout:
			t.Fatalf("%q was not printed:\n%s", pattern, text)
		}
	}
}

func (o *output) awaitText(t *testing.T, text string) {
	t.Helper()
	o.await(t, regexp.QuoteMeta(text))
}

// dispatcher is medispatcher serve, built and running.
type dispatcher struct{ redis, url string }

func startDispatcher(t *testing.T) *dispatcher {
	t.Helper()
	env := streamstest.Real(t)
	tmp := t.TempDir()
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", tmp+"/", "../cmd/medispatcher").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	p := &prepared{tmp: tmp, dir: tmp}
	log := p.start(t, []string{"$TMP/medispatcher", "serve"}, "MEDIS_REDIS_URL="+env.URL, "MEDIS_LISTEN=127.0.0.1:0", "MEDIS_LOG_FORMAT=json",
		"MEDIS_ADMIN_TOKEN="+token, "MEDIS_PARTITIONS="+partitions)
	listen := log.await(t, `"listen":"[^"]+"`)
	return &dispatcher{env.URL, "http://" + strings.Trim(strings.TrimPrefix(listen, `"listen":`), `"`)}
}

// subscribe makes the subscription of a language. Its pushes are signed.
func (d *dispatcher) subscribe(t *testing.T, id, url string) {
	t.Helper()
	doc := fmt.Sprintf(`{"topic":"%s.created","urls":["%s"],"secret":"%s","retry_coefficient":"1s"}`, id, url, secret)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, d.url+"/api/v1/subscriptions/"+id, strings.NewReader(doc))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode/100 != 2 {
		t.Fatal(resp.Status)
	}
}

// prepared is a language whose examples can run.
type prepared struct {
	language
	dir, tmp string
}

// prepare builds the examples of a language. It skips the test if something is missing.
func prepare(t *testing.T, l language) *prepared {
	t.Helper()
	p := &prepared{language: l, dir: l.dir, tmp: t.TempDir()}
	for _, command := range l.can {
		if out, err := p.command(t, command, nil).CombinedOutput(); err != nil {
			if os.Getenv(requireAll) == "1" {
				t.Fatalf("%s=1 requires what the examples need, which README.md lists: %q: %v\n%s", requireAll, command, err, out)
			}
			t.Skipf("%s cannot run here: %v; README.md says what it needs", command[0], err)
		}
	}
	if l.build != nil {
		p.run(t, l.build, nil)
	}
	return p
}

func (p *prepared) command(t *testing.T, command, env []string) *exec.Cmd {
	for i := range command {
		command[i] = strings.ReplaceAll(command[i], "$TMP", p.tmp)
	}
	cmd := exec.CommandContext(t.Context(), command[0], command[1:]...)
	cmd.Dir = p.dir
	cmd.Env = append(os.Environ(), env...)
	return cmd
}

// run runs a program to its end.
func (p *prepared) run(t *testing.T, command, env []string, args ...string) {
	t.Helper()
	if out, err := p.command(t, append(append([]string{}, command...), args...), env).CombinedOutput(); err != nil {
		t.Fatalf("%q: %v\n%s", command, err, out)
	}
}

// start starts a program that ends with the test.
func (p *prepared) start(t *testing.T, command []string, env ...string) *output {
	t.Helper()
	out := &output{}
	cmd := p.command(t, append([]string{}, command...), env)
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			const most = 8 << 10
			text := out.text.Bytes()
			t.Logf("%q printed:\n%s", command, text[max(0, len(text)-most):])
		}
	})
	return out
}
