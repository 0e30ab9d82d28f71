package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/cmd/internal/cli"
	"github.com/solate/medispatcher/cmd/internal/config"
)

const partitionsVariable = "MEDIS_PARTITIONS"

// agree finds out which partitions there are, and over how many the dispatchers spread new messages. Without a
// MEDIS_PARTITIONS of its own a command does the same, and goes by the lowest number while they disagree.
// With another number than any of them mayPublish is an error.
func (s *state) agree(ctx context.Context) error {
	if _, err := s.store.LearnPartitions(ctx); err != nil {
		return err
	}
	all, err := s.store.Dispatchers(ctx)
	if err != nil {
		return err
	}
	spreads := medispatcher.Spreads(all)
	if len(spreads) == 0 {
		return nil
	}
	lowest := slices.Min(slices.Collect(maps.Keys(spreads)))
	switch _, same := spreads[s.cfg.Partitions]; {
	case s.settings.Source(partitionsVariable) == config.FromDefault:
		s.store.SpreadOver(lowest)
	case !same && len(spreads) == 1:
		s.disagreement = fmt.Sprintf("%s is %d here, and %d in the dispatchers; set it to %d, or leave it out; to change it, begin with the dispatchers", partitionsVariable, s.cfg.Partitions, lowest, lowest)
	case !same:
		s.disagreement = fmt.Sprintf("%s is %d here; %s", partitionsVariable, s.cfg.Partitions, spreadsText(spreads))
	}
	return nil
}

// mayPublish is an error while it is not agreed over how many partitions messages are spread: a message might go to another
// partition than others with its key or its id.
func (s *state) mayPublish() error {
	if s.disagreement != "" {
		s.told = true
		return cli.UsageError("nothing was published: " + s.disagreement)
	}
	return nil
}

// tellDisagreement says it, unless an error said it already.
func (s *state) tellDisagreement() {
	if s.disagreement != "" && !s.told {
		_, _ = fmt.Fprintln(s.stderr, "! "+s.disagreement)
	}
}

// spreadsText says that dispatchers disagree; empty if they do not.
func spreadsText(spreads map[int]string) string {
	if len(spreads) < 2 {
		return ""
	}
	var list []string
	for _, n := range slices.Sorted(maps.Keys(spreads)) {
		list = append(list, fmt.Sprintf("%d in %s", n, spreads[n]))
	}
	return "dispatchers disagree about " + partitionsVariable + ": " + strings.Join(list, ", ")
}
