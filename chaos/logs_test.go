package chaos_test

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	rescue "github.com/solate/medispatcher/recover"
	"github.com/solate/medispatcher/streams"
	"github.com/solate/medispatcher/streams/streamstest"
)

// freeAddress returns an address with a free port. Tests need it in advance where they cannot read the log for it.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}

// startWith starts a dispatcher whose stdout and stderr are given, and waits until it is ready.
func (w *world) startWith(stdout, stderr *os.File, env ...string) *dispatcher {
	w.t.Helper()
	d := &dispatcher{t: w.t, ended: make(chan struct{}), listen: freeAddress(w.t)}
	d.cmd = exec.Command(program(w.t, "medispatcher"), "serve")
	d.cmd.Env = append(os.Environ(), w.environ...)
	d.cmd.Env = append(d.cmd.Env, "MEDIS_REDIS_URL="+w.url, "MEDIS_LISTEN="+d.listen, "MEDIS_LOG_FORMAT=json")
	d.cmd.Env = append(d.cmd.Env, env...)
	d.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	d.cmd.Stdout, d.cmd.Stderr = stdout, stderr
	if err := d.cmd.Start(); err != nil {
		w.t.Fatal(err)
	}
	go func() { defer close(d.ended); d.err = d.cmd.Wait() }()
	w.started = append(w.started, d)
	w.t.Cleanup(func() { d.kill() })
	eventually(w.t, "the dispatcher is ready", func() bool {
		client := http.Client{Timeout: time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
		resp, err := client.Get("http://" + d.listen + "/readyz")
		if err != nil {
			return !d.running()
		}
		_ = resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	})
	d.alive()
	return d
}

// pipe opens a pipe that holds 4 KiB, where the system permits that.
func pipe(t *testing.T) (read, write *os.File) {
	t.Helper()
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	const setPipeSize = 1031 // F_SETPIPE_SZ of Linux
	_, _, _ = syscall.Syscall(syscall.SYS_FCNTL, write.Fd(), setPipeSize, 4096)
	t.Cleanup(func() { _, _ = read.Close(), write.Close() })
	return read, write
}

// TestLogThatNobodyReads: the reader of stdout or stderr has stalled or closed the pipe. Everything is still delivered,
// and SIGTERM ends the process with exit code 0.
func TestLogThatNobodyReads(t *testing.T) {
	slow(t)
	for _, closed := range []bool{false, true} {
		for _, which := range []string{"stdout", "stderr", "both"} {
			name := which + " stalled"
			if closed {
				name = which + " closed"
			}
			t.Run(name, func(t *testing.T) {
				w := newWorld(t, options{plan: atFirst})
				null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
				if err != nil {
					t.Fatal(err)
				}
				defer null.Close()
				read, write := pipe(t)
				out, errs := null, null
				if which != "stderr" {
					out = write
				}
				if which != "stdout" {
					errs = write
				}
				// This writes a line of the DATA log for each message, and many lines of the own log.
				d := w.startWith(out, errs, "MEDIS_SENT_LOG=true", "MEDIS_LOG_LEVEL=debug")
				if closed {
					_ = read.Close()
				}
				_ = write.Close() // the dispatcher has its own copy
				n := either(20_000, 1000)
				w.publish(0, n, 0)
				w.await(time.Duration(either(120, 20)) * time.Second)
				v := w.judge()
				d.alive()
				stuck := time.AfterFunc(15*time.Second, func() { d.kill() }) // then stop fails the test
				took := d.stop()
				stuck.Stop()
				w.rest()
				figures.add("%s: %s; the stop took %.1f s", name, v, took.Seconds())
			})
		}
	}
}

// atFirst refuses the first attempt at three messages in ten.
func atFirst(d delivery, attempt int) fate {
	if attempt > 1 {
		return accept
	}
	return some(d, attempt)
}

// some refuses three messages in ten.
func some(d delivery, _ int) fate {
	if sum := sha256.Sum256([]byte(d.id)); sum[0]%10 < 3 {
		return refuse
	}
	return accept
}

// TestDataLogWithoutRoom: three messages in ten are to be dropped and written to the DATA log, but the disk takes no
// lines or only some. Each message is delivered, in the log, or a dead letter.
func TestDataLogWithoutRoom(t *testing.T) {
	for name, file := range map[string]func(t *testing.T) string{
		"dev full": func(t *testing.T) string {
			if _, err := os.Stat("/dev/full"); err != nil {
				t.Skip(err)
			}
			return "/dev/full"
		},
		"tiny disk": func(t *testing.T) string {
			dir := t.TempDir()
			if out, err := exec.Command("mount", "-t", "tmpfs", "-o", "size=16k", "tmpfs", dir).CombinedOutput(); err != nil {
				t.Skipf("cannot mount: %v: %s", err, out)
			}
			t.Cleanup(func() { _ = exec.Command("umount", dir).Run() })
			return filepath.Join(dir, "data.log")
		},
	} {
		t.Run(name, func(t *testing.T) {
			file := file(t)
			w := newWorld(t, options{plan: some})
			registry := streams.NewRegistry(w.store, streamstest.Rules(), func(string, string) {})
			for _, sub := range w.subs {
				if _, _, err := registry.Patch(t.Context(), sub, []byte(`{"max_retries":0,"drop":{"action":"log"}}`), ""); err != nil {
					t.Fatal(err)
				}
			}
			d := w.start("MEDIS_DATA_LOG=" + file)
			w.publish(0, either(2000, 300), 0)
			eventually(t, "everything is settled", func() bool { return w.left(0) == "" })
			d.alive()
			if status, text := d.readyz(); status != http.StatusOK {
				t.Errorf("/readyz: got %d %s, want 200", status, text)
			}
			d.stop()
			w.rest()
			logged := linesOf(t, file)
			dead, missing := 0, 0
			letters := map[string]map[string]bool{}
			for _, sub := range w.subs {
				letters[sub] = w.deadOf(sub)
			}
			w.receiver.mu.Lock()
			defer w.receiver.mu.Unlock()
			for id := range w.accepted {
				for _, sub := range w.subs {
					at := delivery{sub, id}
					if letters[sub][id] {
						dead++
					}
					if len(w.got[at]) == 0 && !logged[at] && !letters[sub][id] {
						missing++
					}
				}
			}
			text := fmt.Sprintf("%d delivered, %d in the DATA log, %d dead letters, %d nowhere", len(w.got), len(logged), dead, missing)
			if missing > 0 || dead == 0 {
				t.Errorf("%s; want none nowhere, and some dead letters", text)
			}
			figures.add("DATA log, %s: %s", name, text)
		})
	}
}

// deadOf returns the ids of a subscription's dead letters.
func (w *world) deadOf(sub string) map[string]bool {
	ids := map[string]bool{}
	for after := ""; ; {
		list, err := w.store.DeadLetters(w.t.Context(), sub, after, 500)
		if err != nil {
			w.t.Fatal(err)
		}
		if len(list) == 0 {
			break
		}
		for _, l := range list {
			ids[l.Message.ID] = true
		}
		after = list[len(list)-1].ID
	}
	return ids
}

// linesOf returns the deliveries that a DATA log records as dropped.
func linesOf(t *testing.T, file string) map[delivery]bool {
	t.Helper()
	logged := map[delivery]bool{}
	if file == "/dev/full" {
		return logged
	}
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	lines := rescue.NewReader(f, 1<<20)
	for {
		l, err := lines.Next()
		if errors.Is(err, io.EOF) {
			return logged
		}
		if err == nil && l.Code == rescue.DroppedMessage {
			logged[delivery{l.Subscription, l.Message.ID}] = true
		}
	}
}
