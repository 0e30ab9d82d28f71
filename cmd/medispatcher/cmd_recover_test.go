package main

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/cmd/internal/cli"
	rescue "github.com/solate/medispatcher/recover"
	"github.com/solate/medispatcher/streams/streamstest"
)

// TestDaemonRecoverLists: while nothing ran, producers parked messages at both ends of the lists, which are in a
// Redis of their own. Some are garbage, some too large.
func TestDaemonRecoverLists(t *testing.T) {
	t.Parallel()
	streamstest.Each(t, func(t *testing.T, env *streamstest.Env) {
		parked := streamstest.Mini(t)
		file := dataLog(t)
		vars := []string{
			"MEDIS_REDIS_URL=" + env.URL, "MEDIS_RECOVER_REDIS_URL=" + parked.URL, "MEDIS_DATA_LOG=" + file,
			"MEDIS_MAX_BODY=1KiB", "MEDIS_PARTITIONS=2",
		}
		w := newWorker(t)
		p := &program{t: t, env: vars}
		p.ok("sub", "put", "s", "--topic", "a.*", "--url", w.URL)
		var want []string
		for i := range 200 {
			body := fmt.Sprintf(`{"n":%d}`, i)
			want = append(want, body)
			text, err := json.Marshal(map[string]any{"topic": "a.b", "body": body, "time": 1_700_000_000_000 + i})
			if err != nil {
				t.Fatal(err)
			}
			push := parked.Client.RPush
			if i%2 == 0 {
				push = parked.Client.LPush
			}
			if err := push(t.Context(), fmt.Sprintf("medis:recover:%d", i%3), text).Err(); err != nil {
				t.Fatal(err)
			}
		}
		for _, garbage := range []string{"nope", `{"body":"x"}`, `{"topic":"a.b","body":"` + strings.Repeat("x", 1025) + `"}`} {
			if err := parked.Client.RPush(t.Context(), "medis:recover:0", garbage).Err(); err != nil {
				t.Fatal(err)
			}
		}
		r := startServe(t, vars, "serve")
		w.await(t, "all", func(got map[string][]string) bool { return len(got["s"]) >= 200 })
		eventually(t, "nothing parked nor in hand", func() bool { return len(parked.Client.Keys(t.Context(), "*").Val()) == 0 })
		if code := r.stop(); code != cli.ExitOK {
			t.Errorf("exit %d", code)
		}
		w.mu.Lock()
		got := slices.Sorted(slices.Values(w.got["s"]))
		w.mu.Unlock()
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("got %d deliveries, want each of %d once", len(got), len(want))
		}
		if n := env.Client.XLen(t.Context(), "medis:{0}:quarantine").Val(); n != 3 {
			t.Errorf("%d in the quarantine, want 3", n)
		}

		// The limit is raised: the large one is recovered, the others cannot be.
		p.env = append(vars, "MEDIS_MAX_BODY=2KiB")
		out := p.recover(cli.ExitFailed, "--dry-run", file)
		contains(t, out, "RECOVFAILASSERT           1        0              0       1", "RECOVFAILDECODE           0        0              0       1")
		for _, column := range []string{"1        0", "0        1"} {
			contains(t, p.recover(cli.ExitFailed, file), "RECOVFAILASSERT          "+column)
		}
		r = startServe(t, p.env, "serve")
		w.await(t, "the large one", func(got map[string][]string) bool { return len(got["s"]) == 201 })
		r.stop()
	})
}

// recover runs the command and returns its stdout.
func (c *program) recover(code int, args ...string) string {
	c.t.Helper()
	got, stdout, stderr := c.run("", append([]string{"recover"}, args...)...)
	if got != code {
		c.t.Errorf("recover %v: exit %d, want %d\n%s%s", args, got, code, stdout, stderr)
	}
	return stdout
}

// TestRecoverTwiceDeliversOnce: messages that nobody wanted, that were dropped, or that a channel could not take
// reach only the subscriptions that did not get them, and once.
func TestRecoverTwiceDeliversOnce(t *testing.T) {
	t.Parallel()
	streamstest.Each(t, func(t *testing.T, env *streamstest.Env) {
		t.Parallel()
		file := dataLog(t)
		vars := []string{"MEDIS_REDIS_URL=" + env.URL, "MEDIS_DATA_LOG=" + file}
		p := &program{t: t, env: vars}
		w := newWorker(t)
		p.ok("sub", "put", "good", "--topic", "t", "--url", w.URL)
		p.ok("sub", "put", "bad", "--topic", "t", "--url", w.URL)
		p.ok("sub", "put", "env", "--topic", "t", "--url", "[T_ENV:PUB]"+w.URL)
		if err := env.Client.Set(t.Context(), "medis:{0}:ch:bad", "not a stream", 0).Err(); err != nil {
			t.Fatal(err)
		}
		r := startServe(t, vars, "serve")
		xadd(t, env, "topic", "t", "body", "one", "id", "p1")
		xadd(t, env, "topic", "t", "body", "two")
		xadd(t, env, "topic", "later", "body", "three", "id", "p3")
		w.await(t, "the good one's", func(got map[string][]string) bool { return len(got["good"]) == 2 })
		lines := func(code string) int {
			text, _ := os.ReadFile(file)
			return strings.Count(string(text), `"code":"`+code+`"`)
		}
		eventually(t, "the DATA log", func() bool { return lines("REDISTFAIL") == 2 && lines("DROPPED") == 2 && lines("UNROUTABLE") == 1 })
		p.ok("sub", "set", "env", "urls="+w.URL)
		eventually(t, "the new URL in force", func() bool { return strings.Count(r.logs.String(), "subscriptions in force") >= 2 })
		p.recover(cli.ExitFailed, file) // two still fail: nobody wants "later", and the key is still wrong

		if err := env.Client.Del(t.Context(), "medis:{0}:ch:bad").Err(); err != nil {
			t.Fatal(err)
		}
		p.ok("sub", "put", "later", "--topic", "later", "--url", w.URL)
		out := p.recover(cli.ExitOK, file)
		contains(t, out, "REDISTFAIL          2        0", "UNROUTABLE          1        0", "DROPPED             0        2")
		w.await(t, "the others'", func(got map[string][]string) bool {
			return len(got["bad"]) == 2 && len(got["later"]) == 1 && len(got["env"]) == 2
		})
		contains(t, p.recover(cli.ExitOK, file, gzipped(t, file)), "REDISTFAIL          0        4", "UNROUTABLE          0        2")
		eventually(t, "nothing waits", func() bool {
			counts := env.Client.HGetAll(t.Context(), "medis:stats:{0}:total").Val()
			return counts["sent:bad"] == "2" && counts["sent:later"] == "1" && counts["sent:good"] == "2"
		})
		if code := r.stop(); code != cli.ExitOK {
			t.Errorf("exit %d", code)
		}
		w.mu.Lock()
		defer w.mu.Unlock()
		if total(w.got) != 7 || len(w.got["good"]) != 2 || len(w.got["bad"]) != 2 || len(w.got["later"]) != 1 {
			t.Errorf("delivered %v", w.got)
		}
		if id := w.header["bad"].Get("webhook-id"); id != "p1" && !strings.HasPrefix(id, "0-") {
			t.Errorf("webhook-id %q is not the one that the others saw", id)
		}
	})
}

// TestReplayAndRecover: a message that is kept in Redis and stands in the DATA log is delivered once, and with its id,
// whichever of the two is published first.
func TestReplayAndRecover(t *testing.T) {
	t.Parallel()
	streamstest.Each(t, func(t *testing.T, env *streamstest.Env) {
		t.Parallel()
		file := dataLog(t)
		vars := []string{"MEDIS_REDIS_URL=" + env.URL, "MEDIS_DATA_LOG=" + file, "MEDIS_MAX_BODY=1KiB"}
		p := &program{t: t, env: vars}
		w := newWorker(t)
		p.ok("sub", "put", "bad", "--topic", "bad", "--url", w.URL)
		if err := env.Client.Set(t.Context(), "medis:{0}:ch:bad", "not a stream", 0).Err(); err != nil {
			t.Fatal(err)
		}
		r := startServe(t, vars, "serve")
		ids := map[string]bool{}
		for _, topic := range []string{"late", "bad", "large"} {
			for range 2 {
				ids["0-"+xadd(t, env, "topic", topic, "body", strings.Repeat("x", map[string]int{"large": 1025}[topic]))] = true
			}
		}
		eventually(t, "the DATA log", func() bool {
			text, _ := os.ReadFile(file)
			return bytes.Count(text, []byte("\n")) == len(ids)
		})
		kept := func(place string) (first string) {
			return "0-" + env.Client.XRange(t.Context(), "medis:{0}:"+place, "-", "+").Val()[0].ID
		}
		r.stop()
		p.env = append(vars, "MEDIS_MAX_BODY=2KiB")
		p.ok("sub", "put", "late", "--topic", "late", "--url", w.URL)
		p.ok("sub", "put", "large", "--topic", "large", "--url", w.URL)
		if err := env.Client.Del(t.Context(), "medis:{0}:ch:bad").Err(); err != nil {
			t.Fatal(err)
		}
		r = startServe(t, p.env, "serve")
		p.ok("unrouted", "replay", kept("unrouted"))
		p.ok("quarantine", "replay", kept("quarantine"))
		p.recover(cli.ExitOK, "--dry-run", file)
		contains(t, p.recover(cli.ExitOK, file), "UNROUTABLE          1        1")
		contains(t, p.recover(cli.ExitOK, file), "UNROUTABLE          0        2", "DECODERR            0        2", "REDISTFAIL          0        2")
		if n := env.Client.XLen(t.Context(), "medis:{0}:unrouted").Val() + env.Client.XLen(t.Context(), "medis:{0}:quarantine").Val(); n != 0 {
			t.Errorf("%d are still kept", n)
		}
		eventually(t, "all delivered", func() bool {
			sent := env.Client.HMGet(t.Context(), "medis:stats:{0}:total", "sent:late", "sent:large", "sent:bad").Val()
			return fmt.Sprint(sent) == "[2 2 2]"
		})
		r.stop()
		w.mu.Lock()
		defer w.mu.Unlock()
		if total(w.got) != len(ids) {
			t.Errorf("delivered %v", w.got)
		}
		for sub, header := range w.header {
			if id := header.Get("webhook-id"); !ids[id] {
				t.Errorf("%s got the id %q, not one of %v", sub, id, ids)
			}
		}
	})
}

// gzipped is a compressed copy of a file.
func gzipped(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	_, err = w.Write(text)
	name += ".2.gz"
	if err := errors.Join(err, w.Close(), os.WriteFile(name, packed.Bytes(), 0o600)); err != nil {
		t.Fatal(err)
	}
	return name
}

// TestRecoverWholeLine: a last line that a dispatcher is writing is read when it is whole, and nothing behind it. One that
// never becomes whole is not waited for long.
func TestRecoverWholeLine(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		later []string // what the file gets, "" for nothing yet
		want  string
		after time.Duration
	}{
		"whole later": {[]string{"", "", "c", "", "d\ne\n"}, "a\nbcd\n", 3 * lineWithin / 20},
		"never whole": {nil, "a\nb", lineWithin + lineWithin/20},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				begun := time.Now()
				got, err := io.ReadAll(&wholeLines{ctx: t.Context(), file: &growing{"a\nb", tt.later}, left: 3})
				if err != nil || string(got) != tt.want || time.Since(begun) > tt.after {
					t.Errorf("%q, %v, after %v", got, err, time.Since(begun))
				}
			})
		})
	}
	synctest.Test(t, func(t *testing.T) {
		got, err := io.ReadAll(&wholeLines{ctx: t.Context(), file: &growing{"a\nb\n", []string{"c\n"}}, left: 2})
		if err != nil || string(got) != "a\n" {
			t.Errorf("%q, %v: what is written meanwhile is not read", got, err)
		}
	})
}

// growing is a file that gets more each time its end is read.
type growing struct {
	text  string
	later []string
}

func (g *growing) Read(b []byte) (int, error) {
	if g.text == "" && len(g.later) > 0 {
		g.text, g.later = g.later[0], g.later[1:]
	}
	if g.text == "" {
		return 0, io.EOF
	}
	n := copy(b, g.text)
	g.text = g.text[n:]
	return n, nil
}

func TestRecoverRefuses(t *testing.T) {
	t.Parallel()
	c := newCLI(t)
	dir := t.TempDir()
	c.fails(cli.ExitUsage, "", []string{"recover"}, "FILE is missing")
	c.fails(cli.ExitUsage, "", []string{"recover", filepath.Join(dir, "none")}, "no such file")
	c.fails(cli.ExitUsage, "", []string{"recover", dir}, "is a directory; name the files in it")
	contains(t, c.ok("recover", writeFile(t, "data.log", "")), "nothing in it")
	contains(t, c.ok("recover", writeFile(t, "data.log", "hello\n{}\n")), "2 lines of other programs skipped")
	code, stdout, stderr := c.run(`{"code":"DROPPED","time":"2026-`+"\nnoise\n", "recover", "-")
	if code != cli.ExitFailed {
		t.Errorf("exit %d", code)
	}
	contains(t, stdout, "damaged          0        0              0       1", "1 line of other programs")
	checkLines(t, stderr, "stdin line 1: is damaged", "1 line not recovered; correct what is named above")
	if code, _, stderr := runCancelled(t, c.env, "recover", writeFile(t, "data.log", "x\n")); code != cli.ExitFailed || !strings.Contains(stderr, "interrupted") {
		t.Errorf("exit %d, %s", code, stderr)
	}
}

// TestRecoverManyProblems: a file with many wrong lines does not flood the terminal.
func TestRecoverManyProblems(t *testing.T) {
	t.Parallel()
	c := newCLI(t)
	line := `{"code":"RECOVFAILBACK","time":"2026-01-02T03:04:05Z","partition":0,"token":"t.%d","message":{"topic":"a..b","body":"x"}}` + "\n"
	var text strings.Builder
	for i := range 150 {
		fmt.Fprintf(&text, line, i)
	}
	code, _, stderr := c.run("", "recover", writeFile(t, "data.log", text.String()))
	if n := strings.Count(stderr, "\n"); code != cli.ExitFailed || n != recoverProblems+1 {
		t.Errorf("exit %d, %d lines", code, n)
	}
	contains(t, stderr, "150 lines not recovered, the first 100 are above")
}

// TestRecoverBatches: more lines than one step writes, of both partitions.
func TestRecoverBatches(t *testing.T) {
	t.Parallel()
	c := newCLI(t, "MEDIS_PARTITIONS=2")
	var text strings.Builder
	for i := range 450 {
		fmt.Fprintf(&text, `{"code":"RECOVFAILBACK","time":"2026-01-02T03:04:05Z","partition":0,"token":"t.%d","message":{"topic":"a","body":"%d"}}`+"\n", i, i)
	}
	file := writeFile(t, "data.log", text.String())
	contains(t, c.recover(cli.ExitOK, file), "RECOVFAILBACK        450        0")
	contains(t, c.recover(cli.ExitOK, file), "RECOVFAILBACK          0      450")
	zero, _ := c.redis.Stream("medis:{0}:incoming")
	one, _ := c.redis.Stream("medis:{1}:incoming")
	if len(zero)+len(one) != 450 || len(zero) < 100 || len(one) < 100 {
		t.Errorf("%d and %d published", len(zero), len(one))
	}
}

// TestRecoverStopsOutOfMemory: the command says where it stopped, and goes on there when it is run again.
func TestRecoverStopsOutOfMemory(t *testing.T) {
	t.Parallel()
	env := streamstest.Real(t)
	c := &program{t: t, env: []string{"MEDIS_REDIS_URL=" + env.URL}}
	if err := env.Client.ConfigSet(t.Context(), "maxmemory", "1").Err(); err != nil {
		t.Fatal(err)
	}
	file := writeFile(t, "data.log", `{"code":"RECOVFAILBACK","time":"2026-01-02T03:04:05Z","partition":0,"token":"t.1","message":{"topic":"a","body":"x"}}`)
	c.fails(cli.ExitFailed, "", []string{"recover", file}, "stopped at line 1 of "+file)
	if err := env.Client.ConfigSet(t.Context(), "maxmemory", "0").Err(); err != nil {
		t.Fatal(err)
	}
	c.recover(cli.ExitOK, file)
	if n := env.Client.XLen(t.Context(), incoming).Val(); n != 1 {
		t.Errorf("%d published", n)
	}
}

// TestDaemonKickFail: what a dead dispatcher owned cannot be given back, because the key of
// the due times was replaced.
func TestDaemonKickFail(t *testing.T) {
	t.Parallel()
	streamstest.Each(t, func(t *testing.T, env *streamstest.Env) {
		file := dataLog(t)
		vars := []string{"MEDIS_REDIS_URL=" + env.URL, "MEDIS_DATA_LOG=" + file, "MEDIS_DEAD_AFTER=300ms", "MEDIS_HEARTBEAT=50ms"}
		w := newWorker(t)
		p := &program{t: t, env: vars}
		p.ok("sub", "put", "s", "--topic", "t", "--url", w.URL)
		dead := env.Open(t, env.Config("dead"))
		if err := dead.Heartbeat(t.Context(), medispatcher.Dispatcher{ID: "dead", DeadAfter: time.Millisecond}); err != nil {
			t.Fatal(err)
		}
		wants := []medispatcher.Want{{Channel: medispatcher.Channel{Subscription: "s"}, Max: 10}}
		_, _ = dead.Read(t.Context(), wants) // makes the group
		for i := range 3 {
			if err := env.Client.Do(t.Context(), "XADD", "medis:{0}:ch:s", "*", "topic", "t", "body", i, "~src", fmt.Sprintf("%d-0", i+1)).Err(); err != nil {
				t.Fatal(err)
			}
		}
		if got, err := dead.Read(t.Context(), wants); err != nil || len(got) != 3 {
			t.Fatalf("%v, %v", got, err)
		}
		if err := env.Client.Set(t.Context(), "medis:{0}:retry:s", "not a zset", 0).Err(); err != nil {
			t.Fatal(err)
		}
		r := startServe(t, vars, "serve")
		read := func() (bodies []string) {
			f, err := os.Open(file)
			if err != nil {
				return nil
			}
			defer f.Close()
			lines := rescue.NewReader(f, 1000)
			for {
				l, err := lines.Next()
				if err != nil {
					return bodies
				}
				if l.Code == rescue.KickFail && l.Subscription == "s" && l.Entry != "" && strings.Contains(l.Error, "WRONGTYPE") {
					bodies = append(bodies, *l.Message.Body)
				}
			}
		}
		eventually(t, "three lines", func() bool { return len(read()) >= 3 })
		if got := slices.Sorted(slices.Values(read())); !slices.Equal(got, []string{"0", "1", "2"}) {
			t.Errorf("KICKFAIL of %v", got)
		}
		contains(t, p.recover(cli.ExitOK, file), "KICKFAIL          0        0              3       0") // they are still there
		if err := env.Client.Del(t.Context(), "medis:{0}:retry:s").Err(); err != nil {
			t.Fatal(err)
		}
		w.await(t, "healed", func(got map[string][]string) bool { return len(got["s"]) == 3 })
		eventually(t, "settled", func() bool { return env.Client.XLen(t.Context(), "medis:{0}:ch:s").Val() == 0 })
		if n := len(read()); n != 3 {
			t.Errorf("%d lines, want one for each message", n)
		}
		if code := r.stop(); code != cli.ExitOK {
			t.Errorf("exit %d", code)
		}
		// Then the channel is lost: the file brings the messages back into it.
		contains(t, p.recover(cli.ExitOK, file), "KICKFAIL          3        0              0       0")
		if n := env.Client.XLen(t.Context(), "medis:{0}:ch:s").Val(); n != 3 {
			t.Errorf("%d in the channel", n)
		}
	})
}

// TestDaemonHangup: SIGHUP ends nothing, and makes the dispatcher open its DATA log again.
func TestDaemonHangup(t *testing.T) {
	env := streamstest.Mini(t)
	file := dataLog(t)
	r := startServe(t, []string{"MEDIS_REDIS_URL=" + env.URL, "MEDIS_DATA_LOG=" + file}, "serve")
	if err := os.Rename(file, file+".1"); err != nil {
		t.Fatal(err)
	}
	self, err := os.FindProcess(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	if err := self.Signal(syscall.SIGHUP); err != nil {
		t.Skip("no SIGHUP here:", err)
	}
	eventually(t, "the file", func() bool { _, err := os.Stat(file); return err == nil })
	if code, _ := r.call(http.MethodGet, "/healthz", ""); code != 200 {
		t.Errorf("healthz %d", code)
	}
	if code := r.stop(); code != cli.ExitOK {
		t.Errorf("exit %d", code)
	}
}
