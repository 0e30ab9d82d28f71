package main

import (
	"context"
	"os"

	"github.com/spf13/pflag"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/cmd/internal/cli"
	"github.com/solate/medispatcher/cmd/internal/config"
)

// sample is a message that flags describe, to try a subscription with.
type sample struct {
	publishFlags
	topic, file string
}

// addFlags adds the flags. topic says what the topic is without its flag.
func (f *sample) addFlags(flags *pflag.FlagSet, topic string) {
	flags.SortFlags = false
	flags.StringVar(&f.file, "body", "", "read the body from a `FILE`, - for stdin")
	flags.StringVar(&f.topic, "topic", "", "`TOPIC` of the message (default "+topic+")")
	flags.StringVar(&f.sender, "sender", "", "`NAME` of the sender")
	flags.StringVar(&f.key, "key", "", "`KEY` of the message")
	flags.StringVar(&f.mediaType, "type", "", "content `TYPE` of the body (default "+medispatcher.DefaultType+")")
	flags.StringArrayVar(&f.headers, "header", nil, "header `'NAME: VALUE'` of the message; may be repeated")
}

// message reads the message. Its topic is empty without the flag.
func (f *sample) message(ctx context.Context, s *state) (medispatcher.Message, error) {
	m, err := f.publishFlags.message()
	if err != nil {
		return m, err
	}
	if m.Type == "" {
		m.Type = medispatcher.DefaultType
	}
	m.Topic = f.topic
	m.Body, err = s.fileBody(ctx, f.file)
	return m, err
}

// fileBody reads a body from a file, - for stdin; without a name it is empty.
func (s *state) fileBody(ctx context.Context, file string) ([]byte, error) {
	switch file {
	case "":
		return nil, nil
	case "-":
		return s.body(ctx, []string{"-"})
	}
	body, err := os.ReadFile(file) //nolint:gosec // the caller names it
	if err != nil {
		return nil, cli.Usagef("cannot read %s: %v", file, config.WithoutPath(err))
	}
	return body, s.checkBody(body)
}
