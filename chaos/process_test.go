package chaos_test

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// dispatcher is a running process.
type dispatcher struct {
	t      *testing.T
	cmd    *exec.Cmd
	listen string
	ended  chan struct{} // closed when the process is gone
	err    error         // how it ended; read it after ended

	mu   sync.Mutex
	logs strings.Builder
}

// start starts a dispatcher and waits until it runs.
func (w *world) start(env ...string) *dispatcher {
	w.t.Helper()
	return w.startBinary(program(w.t, "medispatcher"), env...)
}

func (w *world) startBinary(binary string, env ...string) *dispatcher {
	w.t.Helper()
	d := &dispatcher{t: w.t, ended: make(chan struct{})}
	command := append(slices.Clone(w.within), binary, "serve")
	if w.o.files > 0 {
		command = []string{"sh", "-c", fmt.Sprintf(`ulimit -n %d && exec "$0" serve`, w.o.files), binary}
	}
	d.cmd = exec.Command(command[0], command[1:]...)
	d.cmd.Env = append(os.Environ(), w.environ...)
	d.cmd.Env = append(d.cmd.Env, "MEDIS_REDIS_URL="+w.url, "MEDIS_LISTEN=127.0.0.1:0", "MEDIS_LOG_FORMAT=json")
	d.cmd.Env = append(d.cmd.Env, env...)
	d.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	errs, err := d.cmd.StderrPipe()
	if err != nil {
		w.t.Fatal(err)
	}
	if err := d.cmd.Start(); err != nil {
		w.t.Fatal(err)
	}
	running := make(chan string, 1)
	go func() {
		defer close(d.ended)
		scan := bufio.NewScanner(errs)
		for scan.Scan() {
			d.mu.Lock()
			d.logs.WriteString(scan.Text() + "\n")
			d.mu.Unlock()
			var line struct{ Msg, Listen string }
			if json.Unmarshal(scan.Bytes(), &line) == nil && line.Msg == "medispatcher runs" {
				running <- line.Listen
			}
		}
		d.err = d.cmd.Wait()
	}()
	w.started = append(w.started, d)
	w.t.Cleanup(func() { d.kill() })
	select {
	case d.listen = <-running:
	case <-d.ended:
		w.t.Fatalf("the dispatcher ended at its start: %v\n%s", d.err, d.log())
	case <-time.After(30 * time.Second):
		w.t.Fatal("the dispatcher has not started after 30 s")
	}
	return d
}

func (d *dispatcher) log() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.logs.String()
}

// logs prints the log lines of all dispatchers that contain one of some texts.
func (w *world) logs(texts ...string) {
	w.t.Helper()
	for i, d := range w.started {
		for line := range strings.Lines(d.log()) {
			for _, text := range texts {
				if strings.Contains(line, text) {
					w.t.Logf("dispatcher %d: %s", i, strings.TrimSpace(line))
					break
				}
			}
		}
	}
}

// span is the time within which something was killed: it ran until from at least and was gone at to.
type span struct{ from, to time.Time }

// kill ends the process with SIGKILL, as a crash does.
func (d *dispatcher) kill() span {
	from := time.Now()
	_ = d.cmd.Process.Kill()
	<-d.ended
	return span{from, time.Now()}
}

// stop ends the process with SIGTERM and returns how long that took. The exit code must be 0.
func (d *dispatcher) stop() time.Duration {
	d.t.Helper()
	began := time.Now()
	_ = d.cmd.Process.Signal(syscall.SIGTERM)
	<-d.ended
	if d.err != nil {
		d.t.Errorf("after SIGTERM the dispatcher ended with %v, want exit code 0\n%s", d.err, d.tail())
	}
	return time.Since(began)
}

func (d *dispatcher) running() bool {
	select {
	case <-d.ended:
		return false
	default:
		return true
	}
}

// alive checks that the process is still running.
func (d *dispatcher) alive() {
	d.t.Helper()
	if !d.running() {
		d.t.Errorf("the dispatcher ended, want it running: %v\n%s", d.err, d.tail())
	}
}

// tail returns the end of the log.
func (d *dispatcher) tail() string {
	text := d.log()
	return text[max(0, len(text)-4000):]
}

// readyz returns the status and the text of /readyz.
func (d *dispatcher) readyz() (int, string) {
	d.t.Helper()
	client := http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Get("http://" + d.listen + "/readyz")
	if err != nil {
		d.t.Errorf("/readyz: %v", err)
		return 0, ""
	}
	defer func() { _ = resp.Body.Close() }()
	text, _ := io.ReadAll(resp.Body)
	return resp.StatusCode, string(text)
}

// awaitReady waits until /readyz answers with a status.
func (d *dispatcher) awaitReady(want int, what string) {
	d.t.Helper()
	eventually(d.t, what, func() bool {
		status, _ := d.readyz()
		return status == want
	})
}

// amendment is the report of the amender.
type amendment struct {
	Rows []struct {
		Subscription, Owner string
		Kicked              int
	}
	Dead []string
}

func (a amendment) givenBack() (n int) {
	for _, row := range a.Rows {
		n += row.Kicked
	}
	return n
}

// amend runs the amender.
func (w *world) amend() (report amendment) {
	w.t.Helper()
	cmd := exec.Command(program(w.t, "amender"), "--json")
	cmd.Env = append(os.Environ(), w.environ...)
	cmd.Env = append(cmd.Env, "MEDIS_REDIS_URL="+w.url)
	out, err := cmd.Output()
	if err == nil {
		err = json.Unmarshal(out, &report)
	}
	if err != nil {
		if exit, ok := errors.AsType[*exec.ExitError](err); ok {
			out = append(out, exit.Stderr...)
		}
		w.t.Errorf("amender: %v\n%s", err, out)
	}
	return report
}

// eventually polls until a condition holds. It is for states that send no event.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !holds(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("not within 30 s: " + what)
		}
	}
}
