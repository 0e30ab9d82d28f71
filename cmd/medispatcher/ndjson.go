package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/solate/medispatcher"
)

// publishLines publishes every line of stdin. A line that is wrong is reported and skipped;
// when Redis fails it stops, because every following line would fail as well.
func (s *state) publishLines(ctx context.Context, defaults medispatcher.Message) error {
	// JSON may take six bytes for one, and the other fields need room.
	longest := 6*int(s.cfg.MaxBody) + 64<<10
	in := interruptible(ctx, s.stdin)
	defer in.Close()
	lines := bufio.NewReaderSize(in, 64<<10)
	published, failed := 0, 0
	for n := 1; ; n++ {
		line, err := readLine(lines, longest)
		if errors.Is(err, io.EOF) {
			break
		}
		if ctx.Err() != nil {
			return fmt.Errorf("interrupted at line %d, %d published before it", n, published)
		}
		if err != nil && !errors.Is(err, errLongLine) {
			return fmt.Errorf("cannot read line %d of stdin, %d published before it: %w", n, published, err)
		}
		if err == nil {
			if len(bytes.TrimSpace(line)) == 0 {
				continue
			}
			err = s.publishLine(ctx, line, defaults)
		}
		var stop stopError
		switch {
		case errors.As(err, &stop):
			return fmt.Errorf("stopped at line %d, %d published before it; go on from this line, which is safe where messages have ids: %w", n, published, s.explain(stop.error))
		case err != nil:
			failed++
			for problem := range strings.SplitSeq(err.Error(), "\n") {
				_, _ = fmt.Fprintf(s.stderr, "medispatcher: line %d: %s\n", n, clean(problem))
			}
		default:
			published++
		}
	}
	if failed > 0 {
		return fmt.Errorf("%s not published, %d published; correct those lines and publish them alone", counted(int64(failed), "message"), published)
	}
	return nil
}

// stopError is an error that the next line would meet, too.
type stopError struct{ error }

func (s *state) publishLine(ctx context.Context, line []byte, m medispatcher.Message) error {
	if err := decodeLine(line, &m); err != nil {
		return err
	}
	if err := m.Check(); err != nil {
		return err
	}
	if err := s.checkBody(m.Body); err != nil {
		return err
	}
	if err := s.publishOne(ctx, m); err != nil {
		return stopError{err}
	}
	return nil
}

var errLongLine = errors.New("is longer than MEDIS_MAX_BODY allows")

// readLine reads a line of at most longest bytes. Of a longer one it reads over all, and
// keeps nothing.
func readLine(r *bufio.Reader, longest int) ([]byte, error) {
	var line []byte
	tooLong := false
	for {
		part, err := r.ReadSlice('\n')
		if tooLong = tooLong || len(line)+len(part) > longest; tooLong {
			line = nil
		} else {
			line = append(line, part...)
		}
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			continue
		case err != nil && (!errors.Is(err, io.EOF) || len(line) == 0 && !tooLong):
			return nil, err
		case tooLong:
			return nil, errLongLine
		}
		return line, nil
	}
}
