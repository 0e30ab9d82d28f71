package proc

import (
	"context"
	"os/exec"
	"strings"
	"testing"
)

// TestProcessTellsWhyItEnded: the last lines of a child are part of the error, whether it ends before it is ready or after.
func TestProcessTellsWhyItEnded(t *testing.T) {
	t.Parallel()
	if _, err := Start(t.Context(), exec.Command("sh", "-c", "echo no room; exit 3"), "ready"); err == nil ||
		!strings.Contains(err.Error(), "exit status 3") || !strings.Contains(err.Error(), "no room") {
		t.Error(err)
	}
	p, err := Start(t.Context(), exec.Command("sh", "-c", "echo ready; read line; echo last words >&2; exit 4"), "ready")
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Check(); err != nil {
		t.Error(err)
	}
	_ = p.Stdin.Close()
	<-p.ended
	if err := p.Check(); err == nil || !strings.Contains(err.Error(), "exit status 4") || !strings.Contains(err.Error(), "last words") {
		t.Error(err)
	}
	p.Stop() // does no harm
}

// TestProcessStops: also when it is frozen, and when nobody waits for it any more.
func TestProcessStops(t *testing.T) {
	t.Parallel()
	p, err := Start(t.Context(), exec.Command("sh", "-c", "trap '' TERM; echo ready; read line"), "ready")
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Freeze(); err != nil {
		t.Fatal(err)
	}
	p.Stop()
	if err := p.Check(); err == nil {
		t.Error("it still runs")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Start(ctx, exec.Command("sh", "-c", "read line"), "ready"); err == nil {
		t.Error("it is ready")
	}
}

// TestOutput: a line that arrives in parts is one line, and only the last ones are kept.
func TestOutput(t *testing.T) {
	t.Parallel()
	o := &output{ready: "is ready", found: make(chan struct{})}
	for range linesKept {
		_, _ = o.Write([]byte("old\n"))
	}
	for _, part := range []string{"it is ", "rea", "dy\nit is ready again\nan ", "end"} {
		select {
		case <-o.found:
			t.Errorf("ready before %q", part)
		default:
		}
		if _, err := o.Write([]byte(part)); err != nil {
			t.Fatal(err)
		}
		if strings.HasPrefix(part, "dy") {
			break
		}
	}
	<-o.found
	if got := o.readyLine(); got != "it is ready" {
		t.Error(got)
	}
	if got := strings.Split(o.String(), "\n"); len(got) != linesKept+1 || got[linesKept-1] != "it is ready again" || got[linesKept] != "an " {
		t.Errorf("%q", got)
	}
}
