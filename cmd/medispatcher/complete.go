package main

import (
	"context"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/cmd/internal/cli"
)

// completeWithin is how long a shell waits for what could follow.
const completeWithin = time.Second

// completeArgs has the shells offer subscriptions wherever a command takes one, as its usage line says: "pause ID",
// "stats [SUB…]". For the fields of sub set they offer the names, and a file where one is meant.
func (a *app) completeArgs(cmd *cobra.Command) {
	for _, c := range cmd.Commands() {
		a.completeArgs(c)
	}
	_, args, _ := strings.Cut(cmd.Use, " ")
	switch {
	case cmd.ValidArgsFunction != nil || cmd.HasSubCommands():
	case args == "ID… KEY=VALUE…":
		cmd.ValidArgsFunction = func(cmd *cobra.Command, args []string, start string) ([]string, cobra.ShellCompDirective) {
			if len(args) == 0 && !cmd.Flags().Changed("match") {
				return a.subscriptionIDs(cmd.Context()), cobra.ShellCompDirectiveNoFileComp
			}
			return fieldArgs(start), cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
		}
	case takesSubscription(cmd):
		many := args == "ID…" || strings.HasPrefix(args, "[SUB…")
		cmd.ValidArgsFunction = func(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			if len(args) > 0 && !many {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			return a.subscriptionIDs(cmd.Context()), cobra.ShellCompDirectiveNoFileComp
		}
	case args == "":
		cmd.ValidArgsFunction = cobra.NoFileCompletions
	}
	if cmd.Flags().Lookup("sub") != nil {
		_ = cmd.RegisterFlagCompletionFunc("sub", func(cmd *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
			return a.subscriptionIDs(cmd.Context()), cobra.ShellCompDirectiveNoFileComp
		})
	}
	cmd.Flags().VisitAll(func(flag *pflag.Flag) {
		if f, ok := flag.Value.(*subFlag); ok && len(f.field.Choices) > 0 {
			_ = cmd.RegisterFlagCompletionFunc(flag.Name, cobra.FixedCompletions(f.field.Choices, cobra.ShellCompDirectiveNoFileComp))
		}
	})
}

// takesSubscription reports whether the first argument of a command is a subscription: SUB, or the ID of sub.
func takesSubscription(cmd *cobra.Command) bool {
	_, args, _ := strings.Cut(cmd.Use, " ")
	first, _, _ := strings.Cut(strings.Trim(args, "[]…"), " ")
	return strings.Trim(first, "]…") == "SUB" || strings.Trim(first, "]…") == "ID" && cmd.HasParent() && cmd.Parent().Name() == "sub"
}

// subscriptionIDs are all, or none if Redis cannot be asked: a shell has no place for the reason.
func (a *app) subscriptionIDs(ctx context.Context) (ids []string) {
	ctx, cancel := context.WithTimeout(ctx, completeWithin)
	defer cancel()
	quiet := &app{environ: a.environ, envFile: a.envFile, stdin: a.stdin, stdout: io.Discard, stderr: io.Discard}
	cmd := &cobra.Command{}
	cmd.SetContext(ctx)
	_ = quiet.withState(func(ctx context.Context, s *state, _ []string) (err error) {
		ids, err = s.store.SubscriptionIDs(ctx)
		return err
	})(cmd, nil)
	for i := range ids {
		ids[i] = cli.Clean(ids[i])
	}
	return ids
}

// fieldArgs are the fields that begin with what is typed, each with the first sentence of its help, and behind the = of one its choices.
func fieldArgs(start string) (names []string) {
	for _, f := range medispatcher.Fields() {
		for _, choice := range f.Choices {
			if strings.HasPrefix(start, f.Name+"=") && strings.HasPrefix(f.Name+"="+choice, start) {
				names = append(names, f.Name+"="+choice)
			}
		}
		if f.Kind != medispatcher.KindObject && f.Name != "id" && strings.HasPrefix(f.Name, start) {
			help, _, _ := strings.Cut(f.Help, ". ")
			names = append(names, f.Name+"=\t"+strings.TrimSuffix(help, "."))
		}
	}
	return names
}
