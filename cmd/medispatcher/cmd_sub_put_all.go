package main

import (
	"context"
	"fmt"

	"github.com/spf13/pflag"

	"github.com/solate/medispatcher/cmd/internal/cli"
	"github.com/solate/medispatcher/cmd/medispatcher/operate"
)

// resetsShown bounds the lines about reset fields.
const resetsShown = 20

// putSubs puts the subscriptions of a file.
func (s *state) putSubs(ctx context.Context, flags *pflag.FlagSet, file string) error {
	p := patch{}
	problems, err := p.setFlags(flags)
	if err != nil || len(p)+len(problems) > 0 || flags.Changed("generate-secret") {
		return cli.Usagef("--file without ID holds whole subscriptions: leave out the other flags, or name the subscription that they are for")
	}
	raw, err := s.readDocument(ctx, file, operate.MaxPutsBytes, "a list of subscriptions")
	if err != nil {
		return err
	}
	puts, err := operate.ReadPuts(raw)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, allWithin)
	defer cancel()
	before, err := s.registry.Refresh(ctx)
	if err != nil {
		return err
	}
	done, err := operate.PutAll(ctx, s.registry, puts)
	if err != nil {
		return err
	}
	if err := s.tell(done, "%s created, %d replaced", cli.Counted(int64(done.Created), "subscription"), done.Replaced); err != nil {
		return err
	}
	said := 0
	for i, put := range done.Each {
		was := before.Subs.Get(put.Subscription.ID)
		if was == nil {
			continue
		}
		reset := resetBy(puts.Puts[i].Document, was, &put.Subscription)
		if len(reset) == 0 {
			continue
		}
		if said++; said <= resetsShown {
			s.sayReset(put.Subscription.ID, reset)
		}
	}
	if said > resetsShown {
		_, _ = fmt.Fprintf(s.stderr, "and so of %s more\n", cli.Counted(int64(said-resetsShown), "subscription"))
	}
	return nil
}
