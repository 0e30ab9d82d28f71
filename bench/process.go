package main

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

// process is a child process that has reported that it is ready.
type process struct {
	cmd   *exec.Cmd
	stdin io.WriteCloser
	said  *output
	ended chan struct{} // closed when it ended
}

// start starts a command and waits until it writes a line that contains ready.
func start(ctx context.Context, cmd *exec.Cmd, ready string) (*process, error) {
	p := &process{cmd: cmd, said: &output{ready: ready, found: make(chan struct{})}, ended: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = p.said, p.said
	endWithUs(cmd)
	var err error
	if p.stdin, err = cmd.StdinPipe(); err != nil {
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
		return nil, p.check()
	case <-time.After(readyWithin):
		err = fmt.Errorf("%s was not ready after %s; it wrote:\n%s", p.name(), readyWithin, p.said)
	case <-ctx.Done():
		err = ctx.Err()
	}
	p.stop()
	return nil, err
}

func (p *process) name() string { return filepath.Base(p.cmd.Path) }

// check is an error when the process has ended.
func (p *process) check() error {
	select {
	case <-p.ended:
		return fmt.Errorf("%s ended (%s); it wrote:\n%s", strings.Join(p.cmd.Args[:min(2, len(p.cmd.Args))], " "), p.cmd.ProcessState, p.said)
	default:
		return nil
	}
}

// stop kills the process, frozen or not: nothing that it has is needed.
func (p *process) stop() {
	_ = p.cmd.Process.Kill()
	<-p.ended
}

func (p *process) freeze() error { return p.cmd.Process.Signal(syscall.SIGSTOP) }
func (p *process) thaw()         { _ = p.cmd.Process.Signal(syscall.SIGCONT) } // it fails when the process has ended, which check tells

// output takes what a process writes: it keeps the last lines, and looks for the one that says ready.
type output struct {
	ready string
	found chan struct{} // closed by the line that says ready

	mu    sync.Mutex
	lines []string
	part  string // of a line
	line  string // the one that says ready
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

func (o *output) readyLine() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.line
}
