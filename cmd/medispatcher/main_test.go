package main

import (
	"bytes"
	"context"
	"flag"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/alicebob/miniredis/v2"
	"go.uber.org/goleak"

	"github.com/solate/medispatcher/cmd/internal/cli"
)

// commandInstead makes a process of these tests run a command, so that a test can kill it.
const commandInstead = "MEDIS_TEST_COMMAND"

// atOnce is how many tests run at a time, unless -parallel says otherwise. They wait most of the time.
const atOnce = "4"

func TestMain(m *testing.M) {
	if command := os.Getenv(commandInstead); command != "" {
		os.Exit(run(context.Background(), []string{command}, os.Environ(), os.Stdin, os.Stdout, os.Stderr))
	}
	flag.Parse()
	asked := false
	flag.Visit(func(f *flag.Flag) { asked = asked || f.Name == "test.parallel" })
	if !asked {
		_ = flag.Set("test.parallel", atOnce)
	}
	goleak.VerifyTestMain(m)
}

// program runs the program against a Redis of its own.
type program struct {
	t     *testing.T
	redis *miniredis.Miniredis
	env   []string
}

func newCLI(t *testing.T, env ...string) *program {
	t.Helper()
	r := miniredis.RunT(t)
	return &program{t: t, redis: r, env: append([]string{"MEDIS_REDIS_URL=redis://" + r.Addr()}, env...)}
}

// run returns the exit code and what was printed.
func (c *program) run(stdin string, args ...string) (code int, stdout, stderr string) {
	c.t.Helper()
	return runWith(c.t, strings.NewReader(stdin), c.env, args...)
}

// ok runs a command that must succeed without a word on stderr, and returns its stdout.
func (c *program) ok(args ...string) string {
	c.t.Helper()
	code, stdout, stderr := c.run("", args...)
	if code != cli.ExitOK || stderr != "" {
		c.t.Fatalf("%q: exit %d, stderr %q", args, code, stderr)
	}
	return stdout
}

// fails runs a command that must fail, with one line on stderr for each of want.
func (c *program) fails(code int, stdin string, args []string, want ...string) {
	c.t.Helper()
	got, _, stderr := c.run(stdin, args...)
	if got != code {
		c.t.Errorf("%q: exit %d, want %d", args, got, code)
	}
	checkLines(c.t, stderr, want...)
}

// checkLines: one problem a line, each with its text.
func checkLines(t *testing.T, stderr string, want ...string) {
	t.Helper()
	lines := strings.Split(strings.TrimSuffix(stderr, "\n"), "\n")
	if len(lines) != len(want) {
		t.Errorf("%d lines, want %d:\n%s", len(lines), len(want), stderr)
		return
	}
	for i, w := range want {
		if !strings.HasPrefix(lines[i], "medispatcher: ") || !strings.Contains(lines[i], w) {
			t.Errorf("line %d is\n  %s\nwant in it\n  %s", i+1, lines[i], w)
		}
	}
}

func runWith(t *testing.T, stdin io.Reader, env []string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs lockedBuffer
	code = run(t.Context(), args, env, stdin, &out, &errs)
	return code, out.String(), errs.String()
}

// lockedBuffer is a buffer that several may write to and wait for.
type lockedBuffer struct {
	mu    sync.Mutex
	b     bytes.Buffer
	wrote func() // after each write, if not nil
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	n, err := l.b.Write(p)
	l.mu.Unlock()
	if l.wrote != nil {
		l.wrote()
	}
	return n, err
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func writeFile(t *testing.T, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func contains(t *testing.T, text string, parts ...string) {
	t.Helper()
	for _, p := range parts {
		if !strings.Contains(text, p) {
			t.Errorf("%q is not in\n%s", p, text)
		}
	}
}

// deadRedis is the URL of a Redis that has just gone.
func deadRedis(t *testing.T) string {
	t.Helper()
	r, err := miniredis.Run()
	if err != nil {
		t.Fatal(err)
	}
	addr := r.Addr()
	r.Close()
	return "MEDIS_REDIS_URL=redis://:hush@" + addr
}

// runCancelled runs a command whose context has ended.
func runCancelled(t *testing.T, env []string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var out, errs lockedBuffer
	code = run(ctx, args, env, strings.NewReader(""), &out, &errs)
	return code, out.String(), errs.String()
}
