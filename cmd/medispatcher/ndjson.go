package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

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

// jsonMessage is a line of NDJSON.
type jsonMessage struct {
	Topic      *string           `json:"topic"`
	Body       json.RawMessage   `json:"body"`
	BodyBase64 *string           `json:"body_base64"`
	ID         string            `json:"id"`
	Sender     *string           `json:"sender"`
	Key        *string           `json:"key"`
	Type       *string           `json:"type"`
	Headers    map[string]string `json:"headers"`
	Time       json.RawMessage   `json:"time"`
	Delay      json.RawMessage   `json:"delay"`
}

// decodeLine lays a line over m.
func decodeLine(line []byte, m *medispatcher.Message) error {
	if !utf8.Valid(line) {
		return errors.New("is not UTF-8; put such bytes into body_base64")
	}
	var j jsonMessage
	dec := json.NewDecoder(bytes.NewReader(line))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&j); err != nil {
		return lineError(err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return errors.New("has more than one JSON object; write one a line")
	}
	var err error
	if m.Body, err = j.body(); err != nil {
		return err
	}
	m.ID = j.ID
	for _, f := range []struct {
		into *string
		from *string
	}{{&m.Topic, j.Topic}, {&m.Sender, j.Sender}, {&m.Key, j.Key}, {&m.Type, j.Type}} {
		if f.from != nil {
			*f.into = *f.from
		}
	}
	if j.Headers != nil {
		m.Headers = j.Headers
	}
	if text := scalar(j.Time); text != "" {
		ms, err := strconv.ParseInt(text, 10, 64)
		if err != nil || ms < 0 {
			return fmt.Errorf("time: %q is not a unix time in milliseconds", text)
		}
		m.Time = time.UnixMilli(ms)
	}
	if text := scalar(j.Delay); text != "" {
		if m.Delay, err = medispatcher.ParseDelay(text); err != nil {
			return fmt.Errorf("delay: %w", err)
		}
	}
	return nil
}

func (j *jsonMessage) body() ([]byte, error) {
	switch {
	case j.Body != nil && j.BodyBase64 != nil:
		return nil, errors.New("has body and body_base64; give one of them")
	case j.BodyBase64 != nil:
		body, err := base64.StdEncoding.DecodeString(*j.BodyBase64)
		if err != nil {
			return nil, errors.New("body_base64: is not base64 (of the standard alphabet, padded)")
		}
		return body, nil
	case j.Body == nil:
		return nil, errors.New(`body: is missing; give "body" or "body_base64", an empty one if there is nothing to say`)
	case j.Body[0] == '"':
		var text string
		err := json.Unmarshal(j.Body, &text)
		return []byte(text), err
	}
	return j.Body, nil
}

// scalar is a JSON number or string without its quotes.
func scalar(raw json.RawMessage) string {
	var text string
	if json.Unmarshal(raw, &text) == nil {
		return text
	}
	return string(raw)
}

// lineError says in a producer's words what encoding/json says in Go's.
func lineError(err error) error {
	var kind *json.UnmarshalTypeError
	if errors.As(err, &kind) {
		if kind.Field == "" {
			return errors.New(`is not a JSON object such as {"topic":"order.created","body":{"order":42}}`)
		}
		want := "a string"
		if strings.HasPrefix(kind.Field, "headers") {
			want = "an object of strings"
		}
		return fmt.Errorf("%s: is not %s, but a JSON %s", kind.Field, want, kind.Value)
	}
	if field, ok := strings.CutPrefix(err.Error(), "json: unknown field "); ok {
		return fmt.Errorf("%s is not a field of a message; the fields are topic, body, body_base64, id, sender, key, type, headers, time, delay", field)
	}
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return errors.New("is not JSON: it ends too early")
	}
	return fmt.Errorf("is not JSON: %w", err)
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
