package main

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"strings"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/cmd/internal/cli"
	"github.com/solate/medispatcher/cmd/medispatcher/cloudevents"
)

// publishEvents publishes the CloudEvents in a file: one, or an array of them. given is what the flags and TOPIC say of all.
func (s *state) publishEvents(ctx context.Context, f publishFlags, given medispatcher.Message) error {
	if f.ndjson || f.id+f.sender+f.key+f.mediaType != "" {
		return cli.Usagef("--cloudevent goes with --delay, --header and TOPIC alone: an event says the rest itself")
	}
	text, err := s.readDocument(ctx, f.events, int(cloudevents.MaxRequest(int64(s.cfg.MaxBody))), "CloudEvents in the JSON format")
	if err != nil {
		return err
	}
	batch := bytes.TrimSpace(text)[0] == '['
	messages, err := cloudevents.Reader{MaxBody: int64(s.cfg.MaxBody), Topic: given.Topic, Headers: given.Headers}.JSON(text, batch)
	if err != nil {
		return err
	}
	if len(messages) == 0 {
		s.nothing(cmp.Or(strings.TrimPrefix(f.events, "-"), "stdin"))
	}
	w := s.wishes()
	for i, m := range messages {
		m.Delay = given.Delay
		if err := s.publishOne(ctx, m, w); err != nil {
			return fmt.Errorf("%d of %s published; repeat the command, which is safe: %w", i, cli.Counted(int64(len(messages)), "event"), s.explain(err))
		}
	}
	return nil
}
