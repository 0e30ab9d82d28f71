package proc

import (
	"context"
	"io"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"
)

// asParent is the variable by which this program is the parent in the test below.
const asParent = "BENCH_TEST_PARENT"

// TestProcessEndsWithUs: a SIGKILL of the benchmark leaves no process, whatever that is. Each holds the pipe open.
func TestProcessEndsWithUs(t *testing.T) {
	if os.Getenv(asParent) != "" {
		cmd := exec.CommandContext(context.Background(), "sh", "-c", "echo ready; exec sleep 60")
		cmd.ExtraFiles = []*os.File{os.NewFile(3, "pipe")}
		if _, err := Start(t.Context(), cmd, "ready"); err != nil {
			t.Fatal(err)
		}
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	}
	t.Parallel()
	ends, pipe, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	parent := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestProcessEndsWithUs$")
	parent.Env = append(os.Environ(), asParent+"=1")
	parent.ExtraFiles = []*os.File{pipe}
	err = parent.Run()
	_ = pipe.Close()
	if parent.ProcessState == nil || parent.ProcessState.String() != "signal: killed" {
		t.Fatal(err)
	}
	if err := ends.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadAll(ends); err != nil {
		t.Error("the process outlived its parent:", err)
	}
}
