package main

import (
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// noSuchCommand refuses what is not a command, with the nearest one.
func noSuchCommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	hint := "see " + cmd.CommandPath() + " --help"
	if near := nearest(args[0], commandNames(cmd)); near != "" {
		hint = "did you mean " + near + "?"
	}
	if !cmd.HasParent() && len(args) == 1 && strings.ContainsAny(args[0], "./") {
		return usagef("%q is neither a command nor a file that can be read; %s", args[0], hint)
	}
	return usagef("%q is not a command of %s; %s", args[0], cmd.CommandPath(), hint)
}

func commandNames(cmd *cobra.Command) []string {
	var names []string
	for _, c := range cmd.Commands() {
		names = append(names, c.Name())
	}
	return names
}

// needsCommand is run where only a command below can do something.
func needsCommand(cmd *cobra.Command, _ []string) error {
	names := commandNames(cmd)
	last := len(names) - 1
	return usagef("%s: say which: %s or %s; see %s --help", shortPath(cmd), strings.Join(names[:last], ", "), names[last], cmd.CommandPath())
}

// flagError names the flag that was probably meant.
func flagError(cmd *cobra.Command, err error) error {
	hint := "see " + cmd.CommandPath() + " --help"
	if wrong, ok := strings.CutPrefix(err.Error(), "unknown flag: --"); ok {
		var names []string
		add := func(f *pflag.Flag) { names = append(names, f.Name) }
		cmd.Flags().VisitAll(add)
		cmd.InheritedFlags().VisitAll(add)
		if near := nearest(wrong, names); near != "" {
			hint = "did you mean --" + near + "?"
		}
	}
	return usagef("%v; %s", err, hint)
}

func noArgs(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usagef("%s takes no argument, and got %q; see %s --help", shortPath(cmd), args[0], cmd.CommandPath())
	}
	return nil
}

// exactly asks for the arguments that are named, and for no others.
func exactly(names ...string) cobra.PositionalArgs { return atLeast(len(names), len(names), names...) }

// atLeast asks for low to high (-1: any number) arguments.
func atLeast(low, high int, names ...string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) < low {
			return usagef("%s: %s is missing; see %s --help", shortPath(cmd), names[len(args)], cmd.CommandPath())
		}
		if high >= 0 && len(args) > high {
			return usagef("%s: %q is one argument too many; quote what has spaces in it; see %s --help", shortPath(cmd), args[high], cmd.CommandPath())
		}
		return nil
	}
}

// shortPath is the command without the name of the program.
func shortPath(cmd *cobra.Command) string {
	return strings.TrimPrefix(cmd.CommandPath(), cmd.Root().Name()+" ")
}
