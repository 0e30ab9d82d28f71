package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/cmd/internal/cli"
	"github.com/solate/medispatcher/cmd/medispatcher/operate"
)

const (
	// namedInQuestion is how many subscriptions a question names.
	namedInQuestion = 8
	// toldOneByOne is how many changed subscriptions are printed, each on a line.
	toldOneByOne = 20
)

// some are the subscriptions that a command is about.
type some struct {
	match string
	yes   bool
}

func (o *some) addFlags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&o.match, "match", "", "all whose id or topic holds `TEXT`, in any case, instead of IDs")
	cmd.Flags().BoolVar(&o.yes, "yes", false, "with --match: do not ask")
}

func (a *app) subSetCommand() *cobra.Command {
	var which some
	cmd := a.jsonFlag(&cobra.Command{
		Use:   "set ID… KEY=VALUE…",
		Short: "Change fields of a subscription, or of many",
		Long: `Change some fields of a subscription and leave the others. KEY is the name that sub get
shows, dotted for nested fields. An empty VALUE, or null, resets the field to its default.

With several IDs, or with --match, each of them is changed. One that cannot be changed leaves
the others alone; it is named, and the command exits with 1 or 2.`,
		Example: `  medispatcher sub set billing concurrency=32 interval=5ms
  medispatcher sub set billing mailer timeout=2s
  medispatcher sub set --match shop. concurrency=16
  medispatcher sub set billing urls=http://10.0.0.1/hook,http://10.0.0.2/hook
  medispatcher sub set billing 'urls=["http://10.0.0.1/hook?only=a,b"]'
  medispatcher sub set billing drop.threshold=5 drop.action=log headers.X-Team=blue
  medispatcher sub set billing timeout=`,
		Args: func(cmd *cobra.Command, args []string) error {
			if which.match != "" {
				return cli.AtLeast(1, -1, "KEY=VALUE")(cmd, args)
			}
			return cli.AtLeast(2, -1, "ID", "KEY=VALUE")(cmd, args)
		},
		RunE: a.withState(func(ctx context.Context, s *state, args []string) error {
			ids, fields := idsBefore(args)
			p, problems := patch{}, medispatcher.Problems{}
			for _, arg := range fields {
				key, value, ok := strings.Cut(arg, "=")
				if !ok {
					return cli.Usagef("%q: write KEY=VALUE, such as concurrency=32", arg)
				}
				collect(&problems, p.set(key, value))
			}
			if len(problems) > 0 {
				return problems
			}
			return s.patchSome(ctx, which, ids, p, "Change", "changed")
		}),
	}, "print the subscription as JSON; of many, how many")
	which.addFlags(cmd)
	cmd.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		if unknown, ok := errors.AsType[*pflag.NotExistError](err); ok {
			flag := unknown.GetSpecifiedName()
			for _, f := range medispatcher.Fields() {
				if flag != "" && (f.Flag == flag || f.Name == flag) {
					return cli.Usagef("sub set: write %s=VALUE instead of --%s; see medispatcher sub set --help", f.Name, flag)
				}
			}
		}
		return cli.FlagError(cmd, err)
	})
	return cmd
}

// idsBefore splits arguments before the first KEY=VALUE. The last argument is never an id.
func idsBefore(args []string) (ids, rest []string) {
	n := 0
	for n < len(args)-1 && !strings.Contains(args[n], "=") {
		n++
	}
	return args[:n], args[n:]
}

func (a *app) subPauseCommand(verb, short string, paused bool) *cobra.Command {
	var which some
	cmd := a.jsonFlag(&cobra.Command{
		Use:   verb + " ID…",
		Short: short,
		Example: "  medispatcher sub " + verb + " billing\n" +
			"  medispatcher sub " + verb + " billing mailer\n" +
			"  medispatcher sub " + verb + " --match shop.",
		Args: func(cmd *cobra.Command, args []string) error {
			if which.match != "" {
				return nil
			}
			return cli.AtLeast(1, -1, "ID")(cmd, args)
		},
		RunE: a.withState(func(ctx context.Context, s *state, args []string) error {
			return s.patchSome(ctx, which, args, patch{"paused": paused}, strings.ToUpper(verb[:1])+verb[1:], verb+"d")
		}),
	}, "print the subscription as JSON; of many, how many")
	which.addFlags(cmd)
	return cmd
}

// patchSome changes the subscriptions that are named or match. verb and done are what it does to them, and did.
func (s *state) patchSome(ctx context.Context, which some, ids []string, p patch, verb, done string) error {
	doc, err := json.Marshal(p)
	if err != nil {
		return err
	}
	ids = operate.Distinct(ids)
	switch {
	case which.match != "" && len(ids) > 0:
		return cli.Usagef("name subscriptions by their ids or by --match, not by both")
	case which.match != "":
		if ids, err = s.matching(ctx, which, verb); err != nil {
			return err
		}
	case len(ids) == 1:
		return s.patchSub(ctx, ids[0], doc, done)
	}
	return s.patchMany(ctx, ids, doc, done)
}

func (s *state) patchSub(ctx context.Context, id string, doc []byte, done string) error {
	ctx, cancel := context.WithTimeout(ctx, stepWithin)
	defer cancel()
	sub, _, err := s.registry.Patch(ctx, id, doc, "")
	if err != nil {
		return s.notFound(ctx, id, err)
	}
	return s.tell(sub.Masked(), "%s: %s", cli.Clean(id), done)
}

// matching finds the subscriptions that match, and asks whether these are meant.
func (s *state) matching(ctx context.Context, which some, verb string) (ids []string, err error) {
	step, cancel := context.WithTimeout(ctx, allWithin)
	defer cancel()
	snapshot, err := s.registry.Refresh(step)
	if err != nil {
		return nil, err
	}
	for sub := range snapshot.Subs.All() {
		if operate.Holds(sub, which.match) {
			ids = append(ids, sub.ID)
		}
	}
	if len(ids) == 0 {
		return nil, fmt.Errorf("no subscription has %q in its id or topic; %s", which.match, cli.ListSubscriptions)
	}
	if which.yes {
		return ids, nil
	}
	named := strings.Join(ids[:min(len(ids), namedInQuestion)], ", ")
	if more := len(ids) - namedInQuestion; more > 0 {
		named += fmt.Sprintf(" and %d more", more)
	}
	return ids, s.ask(ctx, fmt.Sprintf("%s %s: %s?", verb, cli.Counted(int64(len(ids)), "subscription"), named), "this is about all that match")
}

// patchMany changes subscriptions one after another. Those that cannot be changed are in the error.
func (s *state) patchMany(ctx context.Context, ids []string, doc []byte, done string) error {
	bar := s.progress(int64(len(ids)), done)
	changed, err := operate.PatchMany(ctx, s.registry, ids, doc, func() bool {
		_ = bar.Add(1)
		return ctx.Err() == nil
	})
	_ = bar.Finish()
	if len(changed.Remaining) > 0 {
		return fmt.Errorf("%s %s before it stopped; repeat it to go on: %w", cli.Counted(int64(changed.Changed), "subscription"), done, errors.Join(err, ctx.Err()))
	}
	refused := map[string]bool{}
	var problems []error
	for _, f := range changed.Failed {
		refused[f.ID] = true
		problems = append(problems, named(f))
	}
	if s.json {
		err = cli.WriteJSON(s.stdout, changed, "")
	} else if changed.Changed > toldOneByOne {
		_, err = fmt.Fprintf(s.stdout, "%d subscriptions %s\n", changed.Changed, done)
	} else {
		for _, id := range ids {
			if !refused[id] && err == nil {
				_, err = fmt.Fprintf(s.stdout, "%s: %s\n", cli.Clean(id), done)
			}
		}
	}
	return errors.Join(append(problems, err)...)
}

// named is why a subscription is unchanged, with its id in each line.
func named(f operate.PatchRefused) error {
	problems, wrong := errors.AsType[medispatcher.Problems](f.Err)
	if !wrong {
		return f.Err // it has the id
	}
	named := make(medispatcher.Problems, len(problems))
	for i, p := range problems {
		named[i] = medispatcher.FieldError{Field: f.ID + ": " + p.Field, Problem: p.Problem}
	}
	return named
}
