package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/cmd/internal/cli"
)

// publishFlags are the fields of a message other than topic and body. With --ndjson they are the
// defaults of every line.
type publishFlags struct {
	id, sender, key, mediaType, delay string
	headers                           []string
	ndjson                            bool
	events                            string // a file of CloudEvents
}

func (a *app) publishCommand() *cobra.Command {
	var f publishFlags
	cmd := &cobra.Command{
		Use:     "publish TOPIC [BODY|-]",
		GroupID: groupUse,
		Short:   "Publish a message, or many from stdin",
		Long: `Publish a message and print its id. The body is the argument BODY, or what stdin holds if
that is - or missing.

With --ndjson every line of stdin is a JSON object of these fields:
  topic        required, unless TOPIC is given
  body         a string is the body itself; any other JSON value is sent as JSON
  body_base64  instead of body, for bytes that are not text
  id, sender, key, type, headers (an object of strings), time (unix ms),
  delay (1m30s, or ms)
A bad line is reported with its number, and the rest goes on.

With --cloudevent the file holds a CloudEvent in the JSON format, or an array of them. The
type is the topic unless TOPIC is given, the source is the sender, the subject the key. If one
of several is wrong, none is published.

When no subscription wants a topic now, a warning on stderr says so, once for each topic. The
message is accepted all the same, and kept: medispatcher unrouted replay sends it on once
somebody wants it.

A publish whose answer is lost may have been accepted. Repeating it is safe with an
id: a second message of the same id within MEDIS_DEDUPE_WINDOW is not delivered.`,
		Example: `  medispatcher publish order.created '{"order":42}'
  medispatcher publish order.created --id order-42 --header 'traceparent: 00-…' - < order.json
  medispatcher publish mail.reminder --delay 24h '{"to":"ann"}'
  medispatcher publish --ndjson < messages.ndjson
  medispatcher publish --cloudevent event.json`,
		Args: func(cmd *cobra.Command, args []string) error {
			for _, name := range []string{"id", "sender", "key", "type", "delay", "cloudevent"} {
				if given := cmd.Flags().Lookup(name); given.Changed && given.Value.String() == "" {
					return cli.Usagef("--%s is empty, perhaps by a variable of a script that is not set; give a value, or leave it out", name)
				}
			}
			if f.ndjson || f.events != "" {
				return cli.AtLeast(0, 1, "TOPIC")(cmd, args)
			}
			return cli.AtLeast(1, 2, "TOPIC")(cmd, args)
		},
		RunE: a.withState(func(ctx context.Context, s *state, args []string) error { return s.publish(ctx, f, args) }),
	}
	a.jsonFlag(cmd, "print the id as JSON")
	flags := cmd.Flags()
	flags.StringVar(&f.id, "id", "", "`ID` of the message, which makes repeating it safe")
	flags.StringVar(&f.sender, "sender", "", "`NAME` of the sender")
	flags.StringVar(&f.key, "key", "", "`KEY` that chooses the partition, such as a customer number")
	flags.StringVar(&f.mediaType, "type", "", "content `TYPE` of the body (default "+medispatcher.DefaultType+")")
	flags.StringVar(&f.delay, "delay", "", "`WAIT` this long before it is delivered, such as 1m30s")
	flags.StringArrayVar(&f.headers, "header", nil, "header `'NAME: VALUE'` that is forwarded; may be repeated")
	flags.BoolVar(&f.ndjson, "ndjson", false, "read messages from stdin, a JSON object a line")
	flags.StringVar(&f.events, "cloudevent", "", "publish the CloudEvents in `FILE`; - reads stdin")
	return cmd
}

func (s *state) publish(ctx context.Context, f publishFlags, args []string) error {
	m, err := f.message()
	if err != nil {
		return err
	}
	if len(args) > 0 {
		m.Topic = args[0]
	}
	if err := s.mayPublish(); err != nil {
		return err
	}
	if f.events != "" {
		return s.publishEvents(ctx, f, m)
	}
	if f.ndjson {
		if f.id != "" {
			return cli.Usagef("--id cannot go with --ndjson: every message needs an id of its own; write it into the lines")
		}
		return s.publishLines(ctx, m)
	}
	if err := m.Check(); err != nil {
		return err
	}
	if m.Body, err = s.body(ctx, args[1:]); err != nil {
		return err
	}
	return s.publishOne(ctx, m, s.wishes())
}

// message is what the flags say of a message.
func (f publishFlags) message() (medispatcher.Message, error) {
	m := medispatcher.Message{ID: f.id, Sender: f.sender, Key: f.key, Type: f.mediaType}
	var err error
	if m.Delay, err = medispatcher.ParseDelay(f.delay); err != nil {
		return m, cli.Usagef("--delay: %v", err)
	}
	if m.Headers, err = parseHeaders(f.headers); err != nil {
		return m, err
	}
	if err := checkReserved(m.Headers); err != nil {
		return m, cli.Usagef("--header: %v", err)
	}
	return m, nil
}

// checkReserved refuses headers that no worker would get.
func checkReserved(headers map[string]string) error {
	for _, name := range slices.Sorted(maps.Keys(headers)) {
		if medispatcher.ReservedHeader(name) {
			return fmt.Errorf("the dispatcher or HTTP itself sets %q, and would ignore yours; leave it out", name)
		}
	}
	return nil
}

// parseHeaders reads 'name: value' of flags.
func parseHeaders(list []string) (map[string]string, error) {
	headers := make(map[string]string, len(list))
	for _, h := range list {
		name, value, ok := strings.Cut(h, ":")
		name = strings.TrimSpace(name)
		if !ok || name == "" {
			return nil, cli.Usagef("--header %q: write 'name: value'", h)
		}
		if _, twice := headers[name]; twice {
			return nil, cli.Usagef("--header %q is given twice; a header of a message has one value", name)
		}
		headers[name] = strings.TrimSpace(value)
	}
	return headers, nil
}

// body is the argument, or what stdin holds.
func (s *state) body(ctx context.Context, args []string) ([]byte, error) {
	limit := int64(s.cfg.MaxBody)
	var body []byte
	switch {
	case len(args) == 1 && args[0] != "-":
		body = []byte(args[0])
	case len(args) == 0 && cli.IsTerminal(s.stdin):
		return nil, cli.Usagef("BODY is missing: give it as an argument, or - to type it (end with Ctrl-D)")
	default:
		var err error
		in := interruptible(ctx, s.stdin)
		defer in.Close()
		if body, err = io.ReadAll(io.LimitReader(in, limit+1)); err != nil {
			return nil, fmt.Errorf("cannot read the body from stdin: %w", err)
		}
		if len(args) == 0 && len(body) == 0 {
			// Probably a cron job without stdin, and not an empty message.
			return nil, cli.Usagef("BODY is missing, and stdin is empty; give '' for a message without a body")
		}
	}
	return body, s.checkBody(body)
}

func (s *state) checkBody(body []byte) error {
	if int64(len(body)) > int64(s.cfg.MaxBody) {
		return fmt.Errorf("%w: more than %s; send a reference to the data, or raise MEDIS_MAX_BODY everywhere", medispatcher.ErrTooLarge, s.cfg.MaxBody)
	}
	return nil
}

// publishOne publishes a checked message, prints its id, and warns if nobody wants it.
func (s *state) publishOne(ctx context.Context, m medispatcher.Message, w *wishes) error {
	step, cancel := context.WithTimeout(ctx, stepWithin)
	defer cancel()
	id, err := s.store.Publish(step, m)
	if err != nil {
		return err
	}
	err = s.tell(map[string]string{"id": id}, "%s", cli.Clean(id))
	w.published(ctx, m.Topic)
	return err
}
