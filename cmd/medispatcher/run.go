package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/cmd/internal/config"
)

// Exit codes of every command.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2 // wrong arguments, wrong configuration, a wrong field
)

// environment is what a command runs in.
type environment struct {
	cfg      config.Config
	settings *config.Settings // where the values of cfg come from
	environ  []string
	log      *slog.Logger
	stdin    io.Reader
	stdout   io.Writer
	stderr   io.Writer
	outlets  *outlets // of a command that runs for long; nil in others
	json     bool     // what is printed is JSON
	build    buildInfo
}

// variable is a variable of the environment, also one that is not ours.
func (e *environment) variable(name string) string {
	for _, kv := range slices.Backward(e.environ) {
		if value, ok := strings.CutPrefix(kv, name+"="); ok {
			return value
		}
	}
	return ""
}

// usageError is a mistake in the command line.
type usageError string

func (e usageError) Error() string { return string(e) }

func usagef(format string, args ...any) error { return usageError(fmt.Sprintf(format, args...)) }

// run is the whole program but for the process around it. environ has the form of
// os.Environ.
func run(ctx context.Context, args, environ []string, stdin io.Reader, stdout, stderr io.Writer) int {
	a := &app{environ: environ, stdin: stdin, stdout: stdout, stderr: stderr}
	root := a.root()
	root.SetArgs(a.earlierForm(root, args))
	err := root.ExecuteContext(ctx)
	defer a.flush()
	if err == nil {
		return exitOK
	}
	for line := range strings.SplitSeq(err.Error(), "\n") {
		if strings.HasSuffix(line, context.Canceled.Error()) {
			line = "interrupted" // in which step matters to nobody
		}
		if line != "" {
			_, _ = fmt.Fprintln(a.stderr, "medispatcher: "+clean(line))
		}
	}
	if !a.started {
		return exitUsage
	}
	return exitCode(err)
}

func exitCode(err error) int {
	var usage usageError
	var problems config.Problems
	var fields medispatcher.Problems
	if errors.As(err, &usage) || errors.As(err, &problems) || errors.As(err, &fields) {
		return exitUsage
	}
	return exitFailed
}

// earlierForm turns the one form of earlier versions, `medispatcher FILE`, into today's.
// A command's name wins over a file that is called like it.
func (a *app) earlierForm(root *cobra.Command, args []string) []string {
	if len(args) != 1 || strings.HasPrefix(args[0], "-") || slices.Contains(commandNames(root), args[0]) {
		return args
	}
	if info, err := os.Stat(args[0]); err != nil || info.IsDir() {
		return args
	}
	return []string{"-f", args[0], "serve"}
}
