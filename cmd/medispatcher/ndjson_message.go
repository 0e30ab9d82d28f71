package main

import (
	"bytes"
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
	if kind, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
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
