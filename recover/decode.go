package recover

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

// SyntaxError says why a text is not JSON at all.
type SyntaxError string

func (e SyntaxError) Error() string { return string(e) }

// given is a message as a producer writes it in JSON.
type given struct {
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

// DecodeNDJSON lays a line of NDJSON, as a person writes it for `publish --ndjson`, over m: a body may be
// any JSON, and a field that a message does not have is a mistake. The message is not checked.
func DecodeNDJSON(line []byte, m *medispatcher.Message) error {
	var g given
	if err := g.decode(line, true); err != nil {
		return err
	}
	return g.lay(m, false)
}

// DecodeItem reads an item of a recover list. The body is a JSON string or base64; as in
// an incoming entry, fields that a message does not have are ignored. The error is a
// SyntaxError where the item is not JSON. Beside any other, m has the key and
// the id if those can be read.
func DecodeItem(item []byte, maxBody int64) (m medispatcher.Message, err error) {
	if longest := LongestJSON(maxBody); int64(len(item)) > longest {
		return m, fmt.Errorf("is %d bytes long; a message within MEDIS_MAX_BODY takes at most %d", len(item), longest)
	}
	var g given
	if err = g.decode(item, false); err == nil {
		err = g.lay(&m, true)
	} else if _, bad := errors.AsType[SyntaxError](err); !bad {
		_ = g.lay(&m, true) // for key and id
	}
	if err == nil {
		err = m.Check()
	}
	if err == nil {
		err = checkBody(&m, maxBody)
	}
	return m, err
}

// LongestJSON is how long a message in JSON can be, in bytes: JSON may take six for one, and
// the fields beside the body need room.
func LongestJSON(maxBody int64) int64 { return 6*maxBody + 256<<10 }

func checkBody(m *medispatcher.Message, maxBody int64) error {
	if int64(len(m.Body)) > maxBody {
		return fmt.Errorf("body: is %d bytes long; the limit is %d (MEDIS_MAX_BODY)", len(m.Body), maxBody)
	}
	return nil
}

func (g *given) decode(text []byte, known bool) error {
	if !utf8.Valid(text) {
		return SyntaxError("is not UTF-8; put such bytes into body_base64")
	}
	dec := json.NewDecoder(bytes.NewReader(text))
	if known {
		dec.DisallowUnknownFields()
	}
	err := dec.Decode(g)
	if err != nil {
		err = inWords(err)
		if _, bad := errors.AsType[SyntaxError](err); bad {
			return err
		}
	}
	if _, end := dec.Token(); !errors.Is(end, io.EOF) {
		return SyntaxError("has more than one JSON object; write one a line")
	}
	return err
}

// lay lays what is given over m.
func (g *given) lay(m *medispatcher.Message, stringBody bool) error {
	m.ID = g.ID
	for _, f := range []struct {
		into *string
		from *string
	}{{&m.Topic, g.Topic}, {&m.Sender, g.Sender}, {&m.Key, g.Key}, {&m.Type, g.Type}} {
		if f.from != nil {
			*f.into = *f.from
		}
	}
	if g.Headers != nil {
		m.Headers = g.Headers
	}
	var err error
	if m.Body, err = g.body(stringBody); err != nil {
		return err
	}
	if text := scalar(g.Time); text != "" {
		ms, err := strconv.ParseInt(text, 10, 64)
		if err != nil || ms < 0 {
			return fmt.Errorf("time: %q is not a unix time in milliseconds", text)
		}
		m.Time = time.UnixMilli(ms)
	}
	if text := scalar(g.Delay); text != "" {
		if m.Delay, err = medispatcher.ParseDelay(text); err != nil {
			return fmt.Errorf("delay: %w", err)
		}
	}
	return nil
}

func (g *given) body(isString bool) ([]byte, error) {
	switch {
	case g.Body != nil && g.BodyBase64 != nil:
		return nil, errors.New("has body and body_base64; give one of them")
	case g.BodyBase64 != nil:
		body, err := base64.StdEncoding.DecodeString(*g.BodyBase64)
		if err != nil {
			return nil, errors.New("body_base64: is not base64 (of the standard alphabet, padded)")
		}
		return body, nil
	case g.Body == nil:
		return nil, errors.New(`body: is missing; give "body" or "body_base64", an empty one if there is nothing to say`)
	case g.Body[0] == '"':
		var text string
		err := json.Unmarshal(g.Body, &text)
		return []byte(text), err
	case isString:
		return nil, errors.New(`body: is not a JSON string; write the body as text, such as "{\"order\":42}", or give body_base64`)
	}
	return g.Body, nil
}

// scalar is a JSON number or string without its quotes.
func scalar(raw json.RawMessage) string {
	var text string
	if json.Unmarshal(raw, &text) == nil {
		return text
	}
	return string(raw)
}

// inWords says in a producer's words what encoding/json says in Go's.
func inWords(err error) error {
	if kind, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		if kind.Field == "" {
			return errors.New(`is not a JSON object such as {"topic":"order.created","body":"{\"order\":42}"}`)
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
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
		return SyntaxError("is not JSON: it ends too early")
	}
	return SyntaxError("is not JSON: " + err.Error())
}
