// Package proc runs the processes of a benchmark, and reads what they use.
package proc

import (
	"context"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	readyWithin = 15 * time.Second
	linesKept   = 10
)

// Process is a child process that has reported that it is ready.
type Process struct {
	Cmd   *exec.Cmd
	Stdin io.WriteCloser
	said  *output
	ended chan struct{} // closed when it ended
}

// Start starts a command and waits until it writes a line that contains ready.
func Start(ctx context.Context, cmd *exec.Cmd, ready string) (*Process, error) {
	p := &Process{Cmd: cmd, said: &output{ready: ready, found: make(chan struct{})}, ended: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = p.said, p.said
	endWithUs(cmd)
	var err error
	if p.Stdin, err = cmd.StdinPipe(); err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	go func() { _ = cmd.Wait(); close(p.ended) }()
	select {
	case <-p.said.found:
		return p, nil
	case <-p.ended:
		return nil, p.Check()
	case <-time.After(readyWithin):
		err = fmt.Errorf("%s was not ready after %s; it wrote:\n%s", p.Name(), readyWithin, p.said)
	case <-ctx.Done():
		err = ctx.Err()
	}
	p.Stop()
	return nil, err
}

// Name is the name of its program.
func (p *Process) Name() string { return filepath.Base(p.Cmd.Path) }

// Said is the last lines that the process wrote.
func (p *Process) Said() string { return p.said.String() }

// Warned is how many lines of a JSON log were warnings so far.
func (p *Process) Warned() int { return p.said.warned() }

// ReadyLine is the line that says that it is ready.
func (p *Process) ReadyLine() string { return p.said.readyLine() }

// Used reads what the process has used so far.
func (p *Process) Used() (Usage, error) { return Used(p.Cmd.Process.Pid) }

// Check is an error when the process has ended.
func (p *Process) Check() error {
	select {
	case <-p.ended:
		return fmt.Errorf("%s ended (%s); it wrote:\n%s", strings.Join(p.Cmd.Args[:min(2, len(p.Cmd.Args))], " "), p.Cmd.ProcessState, p.said)
	default:
		return nil
	}
}

// Stop kills the process, frozen or not: nothing that it has is needed.
func (p *Process) Stop() {
	_ = p.Cmd.Process.Kill()
	<-p.ended
}

// Freeze stops the process until Thaw.
func (p *Process) Freeze() error { return p.Cmd.Process.Signal(syscall.SIGSTOP) }

// Thaw lets it go on.
func (p *Process) Thaw() { _ = p.Cmd.Process.Signal(syscall.SIGCONT) } // it fails when the process has ended, which check tells

// output takes what a process writes: it keeps the last lines, and looks for the one that says ready.
type output struct {
	ready string
	found chan struct{} // closed by the line that says ready

	mu    sync.Mutex
	lines []string
	part  string // of a line
	line  string // the one that says ready
	warns int
}

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for line := range strings.Lines(o.part + string(b)) {
		if o.part = line; !strings.HasSuffix(line, "\n") {
			continue
		}
		o.part = ""
		line = strings.TrimRight(line, "\n")
		if o.lines = append(o.lines, line); len(o.lines) > linesKept {
			o.lines = slices.Delete(o.lines, 0, 1)
		}
		if strings.Contains(line, `"level":"WARN"`) {
			o.warns++
		}
		if o.line == "" && strings.Contains(line, o.ready) {
			o.line = line
			close(o.found)
		}
	}
	return len(b), nil
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return strings.Join(append(slices.Clone(o.lines), o.part), "\n")
}

func (o *output) warned() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.warns
}

func (o *output) readyLine() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.line
}
