package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/cmd/internal/cli"
	rescue "github.com/solate/medispatcher/recover"
)

// publishLines publishes every line of stdin. A line that is wrong is reported and skipped;
// when Redis fails it stops, because every following line would fail as well.
func (s *state) publishLines(ctx context.Context, defaults medispatcher.Message) error {
	in := interruptible(ctx, s.stdin)
	defer in.Close()
	lines := rescue.NewLines(in, rescue.LongestJSON(int64(s.cfg.MaxBody)))
	published, failed, w := 0, 0, s.wishes()
	for n := 1; ; n++ {
		line, err := lines.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if ctx.Err() != nil {
			return fmt.Errorf("interrupted at line %d, %d published before it", n, published)
		}
		if err != nil && !errors.Is(err, rescue.ErrLongLine) {
			return fmt.Errorf("cannot read line %d of stdin, %d published before it: %w", n, published, err)
		}
		if err == nil {
			if len(bytes.TrimSpace(line)) == 0 {
				continue
			}
			err = s.publishLine(ctx, line, defaults, w)
		}
		var stop stopError
		switch {
		case errors.As(err, &stop):
			return fmt.Errorf("stopped at line %d, %d published before it; go on from this line, which is safe where messages have ids: %w", n, published, s.explain(stop.error))
		case err != nil:
			failed++
			for problem := range strings.SplitSeq(err.Error(), "\n") {
				_, _ = fmt.Fprintf(s.stderr, "medispatcher: line %d: %s\n", n, cli.Clean(problem))
			}
		default:
			published++
		}
	}
	if published+failed == 0 {
		s.nothing("stdin")
	}
	if failed > 0 {
		return fmt.Errorf("%s not published, %d published; correct those lines and publish them alone", cli.Counted(int64(failed), "message"), published)
	}
	return nil
}

// nothing warns that there was nothing to publish. A program that failed before it wrote into the pipe looks like that.
func (s *state) nothing(in string) {
	_, _ = fmt.Fprintf(s.stderr, "medispatcher: warning: %s holds no message; nothing was published\n", cli.Clean(in))
}

// stopError is an error that would stop the next line, too.
type stopError struct{ error }

func (s *state) publishLine(ctx context.Context, line []byte, m medispatcher.Message, w *wishes) error {
	if err := rescue.DecodeNDJSON(line, &m); err != nil {
		return err
	}
	if err := m.Check(); err != nil {
		return err
	}
	if err := checkReserved(m.Headers); err != nil {
		return fmt.Errorf("headers: %w", err)
	}
	if err := s.checkBody(m.Body); err != nil {
		return err
	}
	if err := s.publishOne(ctx, m, w); err != nil {
		return stopError{err}
	}
	return nil
}
