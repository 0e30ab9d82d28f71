package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/cmd/internal/cli"
	"github.com/solate/medispatcher/cmd/internal/config"
	"github.com/solate/medispatcher/cmd/medispatcher/operate"
	"github.com/solate/medispatcher/internal/filter"
)

// maxSubscriptionFile keeps a mistaken --file from filling the memory.
const maxSubscriptionFile = 1 << 20

func (a *app) subPutCommand() *cobra.Command {
	var file, from string
	var generate bool
	cmd := &cobra.Command{
		Use:   "put ID",
		Short: "Add a subscription, or replace one; or many from a file",
		Long: `Add a subscription, or replace one with all its fields; sub set changes single ones.
Fields that are not given take the defaults of the configuration, and follow them when
those change. When a subscription is replaced, it says which fields that resets.

Without ID the file holds many, up to 10,000: JSON objects with an id, one a line, or an
array as sub ls --json prints it. If one of them is wrong, none is written. Subscriptions
that are not in the file stay as they are.

TOPIC may be a pattern: * stands for one level, > for the rest. Quote it.`,
		Example: `  medispatcher sub put billing --topic 'order.*' --url http://127.0.0.1:8080/hook
  medispatcher sub put audit --topic '>' --url https://audit.example/in --max-retries 20
  medispatcher sub put billing --topic 'order.*' --url https://billing.example/hook --generate-secret
  medispatcher sub put audit --topic '>' --url https://audit.example/in --from 24h
  medispatcher sub put billing --file billing.json
  medispatcher sub get billing | jq '.concurrency=32' | medispatcher sub put billing --file -
  medispatcher sub ls --json | jq 'map(.timeout="10s")' | medispatcher sub put --file -`,
		Args: func(cmd *cobra.Command, args []string) error {
			if err := noFields(args); err != nil {
				return err
			}
			if file != "" {
				return cli.AtLeast(0, 1, "ID")(cmd, args)
			}
			return cli.Exactly("ID")(cmd, args)
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.withState(func(ctx context.Context, s *state, args []string) error {
				if len(args) == 0 {
					return s.putSubs(ctx, cmd.Flags(), file)
				}
				secret := ""
				if generate {
					if file != "" || cmd.Flags().Changed("secret") {
						return cli.Usagef("--generate-secret makes the secret: leave out --secret and --file, or set secret=… afterwards")
					}
					secret = medispatcher.NewSecret()
				}
				doc, problems, err := s.subDocument(ctx, cmd.Flags(), file, secret)
				if err != nil {
					return err
				}
				return s.putSub(ctx, args[0], doc, problems, secret, from)
			})(cmd, args)
		},
	}
	a.jsonFlag(cmd, "print the subscription as JSON")
	flags := cmd.Flags()
	flags.SortFlags = false
	addSubFlags(flags)
	flags.BoolVar(&generate, "generate-secret", false, "make a secret, and print it this once")
	flags.StringVar(&from, "from", "", "begin a new one with what the archive holds since `TIME` or 24h")
	flags.StringVar(&file, "file", "", "read the whole subscription, or without ID many, from a JSON `FILE`, - for stdin")
	return cmd
}

// noFields says how to give sub put the fields that sub set takes as arguments. It repeats no value that may be a secret.
func noFields(args []string) error {
	for i, arg := range args {
		name, value, has := strings.Cut(arg, "=")
		parent, _, _ := strings.Cut(name, ".")
		f, known := medispatcher.FieldNamed(name)
		outer, nested := medispatcher.FieldNamed(parent)
		if !has || !known && !nested {
			continue
		}
		if f.Secret || outer.Secret || outer.Kind == medispatcher.KindHeaders || outer.Kind == medispatcher.KindList {
			value = "…"
		}
		id, flag := "ID", ""
		if i > 0 {
			id = args[0]
		}
		if f.Flag != "" {
			flag = fmt.Sprintf(", --%s=%s", f.Flag, value)
		}
		return cli.Usagef("sub put: give fields as flags%s, or change those of a subscription that there is with sub set %s %s=%s", flag, id, name, value)
	}
	return nil
}

// subDocument is the subscription that the file or the flags describe, and the problems seen so far.
func (s *state) subDocument(ctx context.Context, flags *pflag.FlagSet, file, secret string) (doc []byte, problems medispatcher.Problems, err error) {
	p := patch{}
	if problems, err = p.setFlags(flags); err != nil {
		return nil, nil, err
	}
	if file != "" {
		if len(p)+len(problems) > 0 {
			return nil, nil, cli.Usagef("--file is the whole subscription: leave out the other flags, or change fields afterwards with sub set")
		}
		doc, err = s.readDocument(ctx, file, maxSubscriptionFile, "one subscription")
		return doc, nil, err
	}
	if len(p)+len(problems) == 0 {
		return nil, nil, cli.Usagef("sub put: give --topic and --url, or --file; see medispatcher sub put --help")
	}
	if secret != "" {
		p["secret"] = secret
	}
	doc, err = json.Marshal(p)
	return doc, problems, err
}

// readDocument reads a file that should hold what.
func (s *state) readDocument(ctx context.Context, file string, limit int, what string) ([]byte, error) {
	var in io.ReadCloser
	if file == "-" {
		in = interruptible(ctx, s.stdin)
	} else {
		f, err := os.Open(file)
		if err != nil {
			return nil, cli.Usagef("cannot read %s: %v", file, config.WithoutPath(err))
		}
		in = f
	}
	defer func() { _ = in.Close() }()
	doc, err := io.ReadAll(io.LimitReader(in, int64(limit)+1))
	switch {
	case err != nil:
		return nil, cli.Usagef("cannot read %s: %v", file, config.WithoutPath(err))
	case len(doc) > limit:
		return nil, cli.Usagef("%s is larger than %s; is it %s?", file, medispatcher.Size(limit), what)
	case strings.TrimSpace(string(doc)) == "":
		return nil, cli.Usagef("%s is empty; give %s as JSON", file, what)
	}
	return config.WithoutMark(doc), nil
}

// putSub stores a document. secret is the one in it, if it was made here. If the flags have problems, it checks the rest as well, to list all problems at once.
func (s *state) putSub(ctx context.Context, id string, doc []byte, problems medispatcher.Problems, secret, from string) error {
	if len(problems) > 0 {
		rules := filter.In(s.cfg.Rules())
		_, _, err := rules.Replace(id, nil, doc, time.Now())
		collect(&problems, err)
		return problems
	}
	var replay *medispatcher.Replay
	if from != "" {
		r, err := s.newFrom(ctx, id, from)
		if err != nil {
			return err
		}
		replay = &r
	}
	if err := s.writeSub(ctx, id, doc, secret, replay); err != nil || replay == nil || replay.Revision == 0 {
		return err
	}
	return s.runReplay(ctx, s.replayer(), *replay)
}

// newFrom is the replay that a new subscription begins with.
func (s *state) newFrom(ctx context.Context, id, from string) (r medispatcher.Replay, err error) {
	if r, err = operate.NewFrom(ctx, id, from, time.Now()); err != nil {
		return r, err
	}
	all, err := s.store.Dispatchers(ctx)
	if err == nil {
		err = operate.MayBegin(all)
	}
	if err == nil {
		_, err = s.sayShortfall(ctx, r.Since)
	}
	return r, err
}

// writeSub stores a document, and tells what that changed. replay is nil, or what the new subscription begins with.
func (s *state) writeSub(ctx context.Context, id string, doc []byte, secret string, replay *medispatcher.Replay) error {
	ctx, cancel := context.WithTimeout(ctx, stepWithin)
	defer cancel()
	before, _, beforeErr := s.registry.Get(ctx, id)
	put := s.registry.PutAll(ctx, []medispatcher.SubscriptionPut{{ID: id, Document: doc, Replay: replay}})[0]
	sub, created := put.Subscription, put.Created
	if put.Err != nil {
		return put.Err
	}
	if replay != nil {
		now, err := s.store.ReplayOf(ctx, id) // with the revision
		switch {
		case err == nil:
			*replay = now
		case !errors.Is(err, medispatcher.ErrNotFound): // else dispatchers have finished it
			return err
		}
	}
	done := "replaced"
	if created {
		done = "created"
	}
	shown := sub.Masked()
	if secret != "" {
		shown.Secret = secret
	}
	if err := s.tell(shown, "%s: %s, %s to %s", cli.Clean(id), done, cli.Clean(sub.Topic), cli.Clean(shownURLs(sub))); err != nil {
		return err
	}
	if secret != "" && !s.json {
		_, _ = fmt.Fprintf(s.stdout, "%s: the secret, which is not shown again, is %s\n", cli.Clean(id), secret)
	}
	if reset := resetBy(doc, &before, &sub); beforeErr == nil && len(reset) > 0 {
		s.sayReset(id, reset)
	}
	return nil
}

func (s *state) sayReset(id string, fields []string) {
	_, _ = fmt.Fprintf(s.stderr, "%s: not given, and so reset: %s\n", cli.Clean(id), cli.Clean(strings.Join(fields, ", ")))
}

// resetBy lists the fields that a new document changed by leaving them out.
func resetBy(doc []byte, before, after *medispatcher.Subscription) (reset []string) {
	var given map[string]json.RawMessage
	if json.Unmarshal(doc, &given) != nil {
		return nil
	}
	_, fields := medispatcher.ChangeOf(before, after)
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		parent, nested, _ := strings.Cut(name, ".")
		value, is := given[parent]
		if is && nested != "" {
			var inner map[string]json.RawMessage
			_ = json.Unmarshal(value, &inner) // an object: it was stored
			_, is = inner[nested]
		}
		if !is {
			reset = append(reset, fieldText(name, fields[name]))
		}
	}
	return reset
}
