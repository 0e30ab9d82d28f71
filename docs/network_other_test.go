//go:build !linux

package docs

import (
	"context"
	"os/exec"
)

// inNetwork makes a command that cannot be started: only Linux has networks of a process.
func inNetwork(ctx context.Context, name string, args ...string) *exec.Cmd {
	return exec.CommandContext(ctx, "", append([]string{name}, args...)...)
}
