package main

import (
	"bufio"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/solate/medispatcher/cmd/internal/cli"
	"github.com/solate/medispatcher/streams/streamstest"
)

// held is a worker that does not answer before release is called.
func heldWorker(t *testing.T, status int) (w *worker, arrived <-chan struct{}, release func()) {
	t.Helper()
	w = newWorker(t)
	came, let := make(chan struct{}, 100), make(chan struct{})
	release = sync.OnceFunc(func() { close(let) })
	t.Cleanup(release) // before the worker closes, which waits for its requests
	w.answer = func(rw http.ResponseWriter, _ *http.Request) {
		came <- struct{}{}
		<-let
		rw.WriteHeader(status)
	}
	return w, came, release
}

// dropping is a subscription whose messages are dropped after one attempt, with a line of the DATA log.
func dropping(url string) string {
	return fmt.Sprintf(`{"topic":"t","urls":[%q],"max_retries":0,"drop":{"action":"log"}}`, url)
}

// inForce waits until the n-th set of subscriptions is in force.
func (r *running) inForce(n int) {
	r.t.Helper()
	eventually(r.t, "in force", func() bool { return r.changes() >= n })
}

// TestDaemonDropsByWhatItDecidedBy: drop.action changes while the last attempt is under way. The message is then
// in the DATA log or a dead letter, and not both.
func TestDaemonDropsByWhatItDecidedBy(t *testing.T) {
	t.Parallel()
	streamstest.Each(t, func(t *testing.T, env *streamstest.Env) {
		w, arrived, release := heldWorker(t, 500)
		r := startServe(t, []string{"MEDIS_REDIS_URL=" + env.URL}, "serve")
		r.put("a", dropping(w.URL))
		xadd(t, env, "topic", "t", "body", "whole")
		awaitSignal(t, "the push", arrived)
		before := r.changes()
		r.put("a", strings.Replace(dropping(w.URL), `"log"`, `"keep"`, 1))
		r.inForce(before + 1)
		release()
		eventually(t, "settled", func() bool { return env.Client.XLen(t.Context(), "medis:{0}:ch:a").Val() == 0 })
		r.stop()
		dead := env.Client.XLen(t.Context(), "medis:{0}:dead:a").Val()
		if lines := strings.Count(r.out.String(), `"code":"DROPPED"`); dead+int64(lines) != 1 {
			t.Errorf("%d dead letters and %d lines, want one in all", dead, lines)
		}
	})
}

// TestDaemonGoneFromAFormerURL: the URL is replaced while a request to it is under way, which is answered 410. The
// subscription with its new URL is not paused.
func TestDaemonGoneFromAFormerURL(t *testing.T) {
	t.Parallel()
	streamstest.Each(t, func(t *testing.T, env *streamstest.Env) {
		former, arrived, release := heldWorker(t, 410)
		w := newWorker(t)
		r := startServe(t, []string{"MEDIS_REDIS_URL=" + env.URL}, "serve")
		doc := func(url string) string {
			return fmt.Sprintf(`{"topic":"t","urls":[%q],"retry_coefficient":"10ms"}`, url)
		}
		r.put("a", doc(former.URL))
		xadd(t, env, "topic", "t", "body", "x")
		awaitSignal(t, "the push", arrived)
		r.put("a", doc(w.URL))
		release()
		w.await(t, "a delivery to the new URL", func(got map[string][]string) bool { return len(got["a"]) == 1 })
		if _, answer := r.call(http.MethodGet, "/api/v1/subscriptions/a", ""); !strings.Contains(answer, `"paused":false`) {
			t.Error(answer)
		}
	})
}

// unwritable are DATA logs that cannot be written.
func unwritable(t *testing.T) map[string]string {
	t.Helper()
	logs := map[string]string{}
	if _, err := os.Stat("/dev/full"); err == nil {
		logs["full disk"] = "/dev/full"
	}
	fifo := filepath.Join(t.TempDir(), "fifo")
	if syscall.Mkfifo(fifo, 0o600) == nil {
		logs["FIFO that nobody reads"] = fifo
	}
	return logs
}

// TestDaemonDataLogThatTakesNothing: a message that was to be dropped with a line becomes a dead letter, and everybody can
// see why. The dispatcher stays ready.
func TestDaemonDataLogThatTakesNothing(t *testing.T) {
	t.Parallel()
	for name, file := range unwritable(t) {
		t.Run(strings.ReplaceAll(name, " ", "_"), func(t *testing.T) {
			env := streamstest.Real(t)
			vars := []string{"MEDIS_REDIS_URL=" + env.URL, "MEDIS_DATA_LOG=" + file, "MEDIS_HEARTBEAT=50ms", "MEDIS_DEAD_AFTER=1s"}
			w := newWorker(t)
			w.answer = func(rw http.ResponseWriter, _ *http.Request) { rw.WriteHeader(500) }
			r := startServe(t, vars, "serve")
			r.put("a", dropping(w.URL))
			r.put("elsewhere", `{"topic":"t","urls":["[T_ENV:X]http://127.0.0.1:1/"]}`)
			for i := range 3 {
				xadd(t, env, "topic", "t", "body", i)
			}
			for _, sub := range []string{"a", "elsewhere"} {
				eventually(t, "dead letters of "+sub, func() bool { return env.Client.XLen(t.Context(), "medis:{0}:dead:"+sub).Val() == 3 })
			}
			p := &program{t: t, env: vars}
			contains(t, p.ok("dead", "ls", "a"), "kept as a dead letter: it was to be dropped")
			contains(t, p.ok("dead", "ls", "elsewhere"), "no worker URL of the subscription is for this")
			eventually(t, "it is ready", func() bool { code, _ := r.call(http.MethodGet, "/readyz", ""); return code == http.StatusOK })
			_, metrics := r.call(http.MethodGet, "/metrics", "")
			contains(t, metrics, `medispatcher_data_log_lines_lost_total{code="DROPPED"} 6`, `medispatcher_log_writable{log="data"} 0`, `medispatcher_log_writable{log="own"} 1`)
			eventually(t, "alert", func() bool {
				_, answer := r.call(http.MethodGet, "/api/v1/alerts", "")
				return strings.Contains(answer, `"rule":"log_lost"`)
			})
			eventually(t, "status", func() bool { return strings.Contains(p.ok("status"), "DATA log: ") })
			if code, out, _ := p.run("", "doctor"); code != cli.ExitFailed || !strings.Contains(out, "✗ logs") {
				t.Errorf("doctor: exit %d\n%s", code, out)
			}
			if code := r.stop(); code != cli.ExitOK {
				t.Errorf("exit %d", code)
			}
		})
	}
}

// TestDaemonLastCopy: the channel of a message that failed is gone, and its line cannot be written. It goes back to Redis.
func TestDaemonLastCopy(t *testing.T) {
	t.Parallel()
	if _, err := os.Stat("/dev/full"); err != nil {
		t.Skip(err)
	}
	for name, c := range map[string]struct {
		value any
		where string
	}{
		"removed":  {nil, "medis:{0}:ch:a"},
		"replaced": {"x", "medis:{0}:quarantine"},
	} {
		t.Run(name, func(t *testing.T) {
			streamstest.Each(t, func(t *testing.T, env *streamstest.Env) {
				w, arrived, release := heldWorker(t, 500)
				r := startServe(t, []string{"MEDIS_REDIS_URL=" + env.URL, "MEDIS_DATA_LOG=/dev/full"}, "serve")
				r.put("a", fmt.Sprintf(`{"topic":"t","urls":[%q]}`, w.URL))
				xadd(t, env, "topic", "t", "body", "whole")
				awaitSignal(t, "the push", arrived)
				// A paused channel is not read, so nothing makes its group again before the failure is settled.
				r.put("a", fmt.Sprintf(`{"topic":"t","urls":[%q],"paused":true}`, w.URL))
				revision := env.Client.Get(t.Context(), "medis:subscriptions:rev").Val()
				eventually(t, "the pause in force", func() bool { return strings.Contains(r.logs.String(), `"revision":`+revision) })
				env.Client.Del(t.Context(), "medis:{0}:ch:a")
				if c.value != nil {
					env.Client.Set(t.Context(), "medis:{0}:ch:a", c.value, 0)
				}
				release()
				eventually(t, c.where, func() bool {
					list := env.Client.XRange(t.Context(), c.where, "-", "+").Val()
					return len(list) == 1 && strings.Contains(fmt.Sprint(list[0].Values), "whole")
				})
				if c.value == nil {
					return
				}
				env.Client.Del(t.Context(), "medis:{0}:ch:a")
				r.put("a", fmt.Sprintf(`{"topic":"t","urls":[%q]}`, w.URL))
				p := &program{t: t, env: []string{"MEDIS_REDIS_URL=" + env.URL}}
				p.ok("quarantine", "replay")
				w.await(t, "replayed", func(got map[string][]string) bool { return len(got["a"]) == 2 })
			})
		})
	}
}

// TestPipeThatIsClosed: a command that an operator runs ends quietly when nobody reads its output.
func TestPipeThatIsClosed(t *testing.T) {
	t.Parallel()
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	self := exec.CommandContext(t.Context(), os.Args[0])
	self.Env = append(os.Environ(), commandInstead+"=help")
	self.Stdout = write
	var errs strings.Builder
	self.Stderr = &errs
	_ = read.Close()
	_ = self.Run()
	_ = write.Close()
	if !strings.HasSuffix(self.ProcessState.String(), "broken pipe") || errs.String() != "" {
		t.Errorf("%s, stderr %q", self.ProcessState, errs.String())
	}
}

// TestDataLogThrownAway: a dispatcher whose stdout is thrown away says that its DATA log is, too.
func TestDataLogThrownAway(t *testing.T) {
	t.Parallel()
	env := streamstest.Mini(t)
	for name, c := range map[string]struct {
		vars []string
		want bool
	}{"stdout": {want: true}, "a file": {vars: []string{"MEDIS_DATA_LOG=" + filepath.Join(t.TempDir(), "data.log")}}} {
		self := exec.CommandContext(t.Context(), os.Args[0]) // its Stdout is the null device
		self.Env = append(append(os.Environ(), "MEDIS_REDIS_URL="+env.URL, "MEDIS_LISTEN=127.0.0.1:0", "MEDIS_LOG_FORMAT=json", commandInstead+"=serve"), c.vars...)
		logs, err := self.StderrPipe()
		if err == nil {
			err = self.Start()
		}
		if err != nil {
			t.Fatal(err)
		}
		said := false
		for lines := bufio.NewScanner(logs); lines.Scan() && !strings.Contains(lines.Text(), `"msg":"ready"`); {
			said = said || strings.Contains(lines.Text(), "the DATA log is stdout, and that is "+os.DevNull)
		}
		_ = self.Process.Kill()
		_ = self.Wait()
		if said != c.want {
			t.Errorf("with %s it said so: %t", name, said)
		}
	}
}
