package cli

import (
	"cmp"
	"errors"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/solate/medispatcher"
)

// NoSuchCommand refuses what is not a command, and suggests the nearest one.
func NoSuchCommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	hint := medispatcher.DidYouMean(args[0], CommandNames(cmd), "see "+cmd.CommandPath()+" --help")
	if !cmd.HasParent() && len(args) == 1 && strings.ContainsAny(args[0], "./") {
		return Usagef("%q is neither a command nor a file that can be read; %s", args[0], hint)
	}
	return Usagef("%q is not a command of %s; %s", args[0], cmd.CommandPath(), hint)
}

// CommandNames are the names of the commands below one.
func CommandNames(cmd *cobra.Command) []string {
	var names []string
	for _, c := range cmd.Commands() {
		names = append(names, c.Name())
	}
	return names
}

// NeedsCommand is the error of a command that only groups others.
func NeedsCommand(cmd *cobra.Command, _ []string) error {
	names := CommandNames(cmd)
	last := len(names) - 1
	return Usagef("%s: say which: %s or %s; see %s --help", ShortPath(cmd), strings.Join(names[:last], ", "), names[last], cmd.CommandPath())
}

// giveKinds says what a flag takes, by its type. The errors of pflag are those of strconv.
var giveKinds = map[string]string{
	"bool": "true or false", "int": "a whole number", "int64": "a whole number", "uint": "a whole number from 0 on", "float64": "a number",
	"duration": "a duration such as 500ms or 1m30s",
}

// FlagError adds to an error of pflag the flag that was probably meant, or else the command.
func FlagError(cmd *cobra.Command, err error) error {
	if given := cmd.Flags().Args(); cmd.HasSubCommands() && len(given) > 0 { // a flag of the command that was meant
		return NoSuchCommand(cmd, given)
	}
	hint := "see " + cmd.CommandPath() + " --help"
	if unknown, ok := errors.AsType[*pflag.NotExistError](err); ok {
		var names []string
		add := func(f *pflag.Flag) { names = append(names, f.Name) }
		cmd.Flags().VisitAll(add)
		cmd.InheritedFlags().VisitAll(add)
		// -long is a group of shorthands to pflag.
		wrong := cmp.Or(unknown.GetSpecifiedShortnames(), unknown.GetSpecifiedName())
		if near := medispatcher.Nearest(wrong, names); len(wrong) > 1 && near != "" {
			hint = "did you mean --" + near + "?"
		}
	}
	if bad, ok := errors.AsType[*pflag.InvalidValueError](err); ok {
		if give, known := giveKinds[bad.GetFlag().Value.Type()]; known {
			return Usagef("--%s %q: give %s; %s", bad.GetFlag().Name, bad.GetValue(), give, hint)
		}
	}
	return Usagef("%v; %s", err, hint)
}

// NoArgs refuses arguments.
func NoArgs(cmd *cobra.Command, args []string) error {
	if cmd.HasSubCommands() {
		return NoSuchCommand(cmd, args)
	}
	if len(args) > 0 {
		return Usagef("%s takes no argument, and got %q; see %s --help", ShortPath(cmd), args[0], cmd.CommandPath())
	}
	return nil
}

// Exactly asks for the arguments that are named, and for no others.
func Exactly(names ...string) cobra.PositionalArgs { return AtLeast(len(names), len(names), names...) }

// AtLeast asks for low to high (-1: any number) arguments.
func AtLeast(low, high int, names ...string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) < low {
			return Usagef("%s: %s is missing; see %s --help", ShortPath(cmd), names[len(args)], cmd.CommandPath())
		}
		if high >= 0 && len(args) > high {
			return Usagef("%s: %q is one argument too many; quote what has spaces in it; see %s --help", ShortPath(cmd), args[high], cmd.CommandPath())
		}
		return nil
	}
}

// ShortPath is the command without the name of the program.
func ShortPath(cmd *cobra.Command) string {
	return strings.TrimPrefix(cmd.CommandPath(), cmd.Root().Name()+" ")
}
