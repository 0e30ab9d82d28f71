package main

import (
	"context"
	"errors"
	"os/exec"
	"strings"
	"testing"
)

// TestProcessTellsWhyItEnded: the last lines of a child are part of the error, whether it ends before it is ready or after.
func TestProcessTellsWhyItEnded(t *testing.T) {
	t.Parallel()
	if _, err := start(t.Context(), exec.Command("sh", "-c", "echo no room; exit 3"), "ready"); err == nil ||
		!strings.Contains(err.Error(), "exit status 3") || !strings.Contains(err.Error(), "no room") {
		t.Error(err)
	}
	p, err := start(t.Context(), exec.Command("sh", "-c", "echo ready; read line; echo last words >&2; exit 4"), "ready")
	if err != nil {
		t.Fatal(err)
	}
	if err := p.check(); err != nil {
		t.Error(err)
	}
	_ = p.stdin.Close()
	<-p.ended
	if err := p.check(); err == nil || !strings.Contains(err.Error(), "exit status 4") || !strings.Contains(err.Error(), "last words") {
		t.Error(err)
	}
	p.stop() // does no harm
}

// TestProcessStops: also when it is frozen, and when nobody waits for it any more.
func TestProcessStops(t *testing.T) {
	t.Parallel()
	p, err := start(t.Context(), exec.Command("sh", "-c", "trap '' TERM; echo ready; read line"), "ready")
	if err != nil {
		t.Fatal(err)
	}
	if err := p.freeze(); err != nil {
		t.Fatal(err)
	}
	p.stop()
	if err := p.check(); err == nil {
		t.Error("it still runs")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := start(ctx, exec.Command("sh", "-c", "read line"), "ready"); err == nil {
		t.Error("it is ready")
	}
}

// TestPublisherIsInterrupted: an interrupt that comes before the publisher runs ends it, too.
func TestPublisherIsInterrupted(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	sys := peer("asynq", "asynq", "/bin/sh", true)
	if err := sys.publish(ctx, &rig{}, span{}); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}
