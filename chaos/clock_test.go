package chaos_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/streams/streamstest"
)

// fifth fails the first two attempts of one message in five.
func fifth(d delivery, attempt int) fate {
	var n int
	if _, err := fmt.Sscanf(d.id, "m%d", &n); err == nil && n%5 == 0 && attempt <= 2 {
		return refuse
	}
	return accept
}

// clockWorld has two dispatchers whose first two attempts at every fifth message fail.
func clockWorld(t *testing.T) (*world, []*dispatcher) {
	t.Helper()
	o := quick()
	o.env, o.plan = streamstest.RealClock(t), fifth
	w := newWorld(t, o)
	d := []*dispatcher{w.start(), w.start()}
	for i := range d {
		d[i].awaitReady(http.StatusOK, "/readyz is 200 before the clock is set")
	}
	return w, d
}

const (
	delayFor  = 4 * time.Second
	delayLong = 30 * time.Minute
)

// publishDelayed publishes messages that are due after delayFor, and one that is due after delayLong.
func (w *world) publishDelayed(first, n int) {
	w.t.Helper()
	for i := first; i < first+n; i++ {
		id := fmt.Sprintf("m%d", i)
		_, err := w.store.Publish(w.t.Context(), medispatcher.Message{ID: id, Topic: "t", Body: bodyOf(id), Delay: delayFor})
		if err != nil {
			w.t.Fatal(err)
		}
		w.mu.Lock()
		w.accepted[id] = true
		w.mu.Unlock()
	}
	if _, err := w.store.Publish(w.t.Context(), medispatcher.Message{ID: "later", Topic: "t", Body: bodyOf("later"), Delay: delayLong}); err != nil {
		w.t.Fatal(err)
	}
}

// forgetLater checks that the message with the long delay is still there, and removes it.
func (w *world) forgetLater() {
	w.t.Helper()
	if n := w.env.Client.Del(w.t.Context(), "medis:{0}:delayed", "medis:{0}:delayed:body").Val(); n != 2 {
		w.t.Errorf("removed %d of the two keys of the message that is delayed by %s, want 2", n, delayLong)
	}
}

// noneDead checks that no dispatcher was declared dead.
func (w *world) noneDead() {
	w.t.Helper()
	for i, d := range w.started {
		d.alive()
		for _, word := range []string{"dispatcher is dead", "given back what a dead dispatcher owned", "panic"} {
			if strings.Contains(d.log(), word) {
				w.t.Errorf("the log of dispatcher %d contains %q", i, word)
			}
		}
	}
}

// TestRedisClockIsSet: the clock of Redis is set while messages are delivered, retried and delayed. Neither the
// dispatchers nor the amender declare anyone dead. Delayed messages come when they would have come anyway. A
// dispatcher that dies later is still found dead.
func TestRedisClockIsSet(t *testing.T) {
	slow(t)
	for name, steps := range map[string][]time.Duration{
		"an hour ahead":                   {time.Hour},
		"an hour back":                    {-time.Hour},
		"ahead, right again, then behind": {time.Hour, 0, -time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			w, d := clockWorld(t)
			n := w.o.messages
			w.publish(0, n/3, 0)
			began := time.Now()
			w.publishDelayed(n, 20)
			sent := w.publishing(n/3, n/3, time.Duration(2*len(steps))*time.Second)
			for _, step := range steps {
				pause(time.Second)
				w.env.SetClock(t, step)
				if report := w.amend(); report.givenBack() > 0 {
					t.Errorf("the amender gave back %+v, want nothing", report.Rows)
				}
			}
			sent()
			w.publish(2*n/3, n-2*n/3, 0)
			eventually(t, "the delayed messages are delivered", func() bool {
				w.receiver.mu.Lock()
				defer w.receiver.mu.Unlock()
				return w.receiver.got[delivery{"s0", fmt.Sprintf("m%d", n+19)}] != nil
			})
			late := time.Since(began) - delayFor
			w.noneDead()
			w.forgetLater()
			w.await(60 * time.Second)

			w.kills = append(w.kills, d[0].kill())
			w.healed(1)
			eventually(t, "the other dispatcher leads the alerts", func() bool {
				leader, err := w.env.Client.Get(t.Context(), "medis:alerts:{alerts}:leader").Result()
				return err == nil && strings.Contains(leader, fmt.Sprintf("-%d-", d[1].cmd.Process.Pid))
			})
			v := w.judge()
			if v.duplicates > 0 {
				t.Errorf("%d duplicates, want none", v.duplicates)
			}
			d[1].stop()
			w.rest()
			t.Logf("%s; the delayed messages came %.1f s after they were due", v, late.Seconds())
			figures.add("the clock of Redis is set %s under load: %s", name, v)
		})
	}
}

// wallClock is a source file for a dispatcher whose clock is moved by signals, by an hour each. Go does not ask libc
// for the time, so package time is rebuilt with a variable. The monotonic clock is not changed, as on a real machine.
const wallClock = `package main

import (
	"os"
	"os/signal"
	"syscall"
	"time"
)

func init() {
	set := make(chan os.Signal, 1)
	signal.Notify(set, syscall.SIGUSR1, syscall.SIGUSR2)
	go func() {
		for s := range set {
			if s == syscall.SIGUSR1 {
				time.WallStep += 3600
			} else {
				time.WallStep -= 3600
			}
		}
	}()
}
`

// buildWallClock builds a dispatcher with wallClock.
func buildWallClock(t *testing.T) string {
	t.Helper()
	slow(t) // package time and all that imports it are rebuilt
	dir := t.TempDir()
	root, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		t.Fatal(err)
	}
	source := filepath.Join(strings.TrimSpace(string(root)), "src", "time", "time.go")
	text, err := os.ReadFile(source)
	if err != nil {
		t.Fatal(err)
	}
	const reads = "sec, nsec, mono := runtimeNow()\n"
	if strings.Count(string(text), reads) != 1 {
		t.Fatalf("%s does not contain %q once: find how this release of Go reads the clock, and adapt the test", source, reads)
	}
	main, err := filepath.Abs("../cmd/medispatcher/wallclock.go")
	if err != nil {
		t.Fatal(err)
	}
	replace := map[string]string{source: filepath.Join(dir, "time.go"), main: filepath.Join(dir, "wallclock.go")}
	overlay, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{
		"time.go":      strings.Replace(string(text), reads, reads+"\tsec += WallStep\n", 1) + "\nvar WallStep int64\n",
		"wallclock.go": wallClock, "overlay.json": string(overlay),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	binary := filepath.Join(dir, "medispatcher")
	cmd := exec.Command("go", "build", "-overlay", filepath.Join(dir, "overlay.json"), "-o", binary, "../cmd/medispatcher")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return binary
}

// TestDispatcherClockIsSet: the clock of a dispatcher's machine is set while messages are delivered, retried and
// delayed. The dispatcher declares no other dead because of that. It still finds the other one dead when that dies later.
func TestDispatcherClockIsSet(t *testing.T) {
	binary := buildWallClock(t)
	for name, set := range map[string]syscall.Signal{"an hour ahead": syscall.SIGUSR1, "an hour back": syscall.SIGUSR2} {
		t.Run(name, func(t *testing.T) {
			o := quick()
			o.plan = fifth
			w := newWorld(t, o)
			d, other := w.startBinary(binary), w.start()
			n := w.o.messages
			w.publish(0, n/3, 0)
			w.publishDelayed(n, 20)
			sent := w.publishing(n/3, n/3, 2*time.Second)
			pause(time.Second)
			if err := d.cmd.Process.Signal(set); err != nil {
				t.Fatal(err)
			}
			sent()
			w.publish(2*n/3, n-2*n/3, 0)
			eventually(t, "the delayed messages are delivered", func() bool {
				w.receiver.mu.Lock()
				defer w.receiver.mu.Unlock()
				return w.receiver.got[delivery{"s0", fmt.Sprintf("m%d", n+19)}] != nil
			})
			w.noneDead()
			w.forgetLater()
			w.await(60 * time.Second)
			w.kills = append(w.kills, other.kill())
			w.healed(1)
			v := w.judge()
			if v.duplicates > 0 {
				t.Errorf("%d duplicates, want none", v.duplicates)
			}
			d.stop()
			w.rest()
			t.Log(v)
			figures.add("the clock of a dispatcher is set %s under load: %s", name, v)
		})
	}
}
