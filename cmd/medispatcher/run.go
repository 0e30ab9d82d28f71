package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/solate/medispatcher/cmd/internal/cli"
	"github.com/solate/medispatcher/cmd/internal/config"
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
	build    cli.Build
}

// variable is the value of an environment variable, ours or not.
func (e *environment) variable(name string) string {
	for _, kv := range slices.Backward(e.environ) {
		if value, ok := strings.CutPrefix(kv, name+"="); ok {
			return value
		}
	}
	return ""
}

// tell prints what was done: v as one JSON object for programs, else a line for people.
func (e *environment) tell(v any, format string, args ...any) error {
	if e.json {
		return cli.WriteJSON(e.stdout, v, "")
	}
	_, err := fmt.Fprintf(e.stdout, format+"\n", args...)
	return err
}

// run is the whole program without its process, so that tests can call it. environ has the form of
// os.Environ.
func run(ctx context.Context, args, environ []string, stdin io.Reader, stdout, stderr io.Writer) int {
	a := &app{environ: environ, stdin: stdin, stdout: stdout, stderr: stderr}
	root := a.root()
	root.SetArgs(a.earlierForm(root, args))
	err := root.ExecuteContext(ctx)
	defer a.flush()
	if err == nil {
		return cli.ExitOK
	}
	cli.Complain(a.stderr, "medispatcher", err)
	if !a.started {
		return cli.ExitUsage
	}
	return cli.ExitCode(err)
}

// earlierForm turns the one form of earlier versions, `medispatcher FILE`, into today's.
// A command wins over a file of the same name.
func (a *app) earlierForm(root *cobra.Command, args []string) []string {
	if len(args) != 1 || strings.HasPrefix(args[0], "-") || slices.Contains(cli.CommandNames(root), args[0]) {
		return args
	}
	if info, err := os.Stat(args[0]); err != nil || info.IsDir() {
		return args
	}
	return []string{"-f", args[0], "serve"}
}
