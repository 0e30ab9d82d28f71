package main

import (
	"context"
	"fmt"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/cmd/internal/cli"
	"github.com/solate/medispatcher/cmd/medispatcher/daemon"
	"github.com/solate/medispatcher/cmd/medispatcher/operate"
)

// wanted says what of a message is printed.
type wanted struct {
	body, curl bool
	at, sub    string
}

func (w wanted) check() error {
	if w.body && w.curl {
		return cli.Usagef("--body and --curl: give one of them")
	}
	if !w.body && !w.curl && w.at+w.sub != "" {
		return cli.Usagef("--at and --sub go with --body or --curl")
	}
	return nil
}

// printPayload prints the body of a message, or its request as a command.
func (s *state) printPayload(ctx context.Context, id string, w wanted) error {
	ctx, cancel := context.WithTimeout(ctx, stepWithin)
	defer cancel()
	if w.sub != "" {
		if err := s.known(ctx, w.sub); err != nil {
			return err
		}
	}
	subs, err := s.store.SubscriptionIDs(ctx)
	if err != nil {
		return err
	}
	found, err := operate.Find(ctx, s.store, subs, id, w.at, w.sub)
	if err != nil {
		return err
	}
	if w.body {
		if s.json {
			return cli.WriteJSON(s.stdout, map[string]any{"place": found.Place.Ref(), "body_base64": found.Message.Body}, "")
		}
		_, err = s.stdout.Write(found.Message.Body)
		return err
	}
	d := found.Delivery()
	if d.Subscription == "" {
		d.Subscription = w.sub
	}
	if d.Subscription == "" {
		return cli.Usagef("message %q is not in the channel of a subscription: say with --sub for which the request is", id)
	}
	sub, _, err := s.registry.Get(ctx, d.Subscription)
	if err != nil {
		return s.notFound(ctx, d.Subscription, err)
	}
	req, err := daemon.Pusher{Config: &s.cfg, Version: s.build.Version}.Show(&sub, d)
	if err != nil {
		return fmt.Errorf("subscription %q: %w", sub.ID, err)
	}
	return s.printCurl(id, found.Place, &req)
}

func (s *state) printCurl(id string, at medispatcher.Place, req *medispatcher.Request) error {
	command, inline := operate.Curl(req, operate.BodyFile(id))
	if s.json {
		return cli.WriteJSON(s.stdout, map[string]any{"place": at.Ref(), "request": req, "curl": command}, "")
	}
	if !inline {
		_, _ = fmt.Fprintf(s.stderr, "the body is long or binary; make its file first: medispatcher message %s --body --at %s > %s\n", cli.Clean(id), at.Ref(), operate.BodyFile(id))
	}
	if req.Masked {
		_, _ = fmt.Fprintln(s.stderr, "credentials are masked: put them in")
	}
	_, err := fmt.Fprintln(s.stdout, command)
	return err
}
