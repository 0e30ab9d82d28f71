package recover

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/solate/medispatcher"
)

// SyntaxError reports why a text is not JSON at all.
type SyntaxError string

func (e SyntaxError) Error() string { return string(e) }

// given is a message as a producer writes it in JSON.
type given struct {
	Topic      *string           `json:"topic"`
	Body       json.RawMessage   `json:"body"`
	BodyBase64 *string           `json:"body_base64"`
	ID         *string           `json:"id"`
	Sender     *string           `json:"sender"`
	Key        *string           `json:"key"`
	Type       *string           `json:"type"`
	Headers    map[string]string `json:"headers"`
	Time       json.RawMessage   `json:"time"`
	Delay      json.RawMessage   `json:"delay"`
}

// DecodeNDJSON reads a line of NDJSON that a person wrote for `publish --ndjson`. Its fields replace those
// of m. The body may be any JSON; an unknown field is an error. The message is not checked.
func DecodeNDJSON(line []byte, m *medispatcher.Message) error {
	var g given
	if err := g.decode(line, true); err != nil {
		return err
	}
	if g.ID != nil && *g.ID == "" {
		return errors.New("id: is empty; leave it out for a message without one, which is not safe to repeat")
	}
	return g.lay(m, false)
}

// DecodeItem reads an item of a recover list, and checks the message. The body is a JSON string or base64;
// unknown fields are ignored, as in an incoming entry. The error is a SyntaxError if the item is not JSON.
// With any other error, m holds the key and the id if those can be read.
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
		err = m.CheckUnquoted()
	}
	if err == nil {
		err = checkBody(&m, maxBody)
	}
	return m, err
}

// LongestJSON bounds the length of a message in JSON, in bytes. JSON may write one byte as six, and the
// fields beside the body need room.
func LongestJSON(maxBody int64) int64 { return 6*maxBody + 256<<10 }

func checkBody(m *medispatcher.Message, maxBody int64) error {
	if int64(len(m.Body)) > maxBody {
		return fmt.Errorf("body: is %d bytes long; the limit is %d (MEDIS_MAX_BODY)", len(m.Body), maxBody)
	}
	return nil
}

// decode reads one JSON object. known: an unknown field is an error.
func (g *given) decode(text []byte, known bool) error {
	if !utf8.Valid(text) {
		return SyntaxError("is not UTF-8; put such bytes into body_base64")
	}
	dec := json.NewDecoder(bytes.NewReader(text))
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
	if !known {
		return err
	}
	if name := unknownField(text); name != "" {
		return fmt.Errorf("%q is not a field of a message; the fields are %s", name, strings.Join(givenFields(), ", "))
	}
	return err
}

// unknownField is a field of a JSON object that a message does not have; "": there is none.
func unknownField(text []byte) string {
	var fields map[string]json.RawMessage
	_ = json.Unmarshal(text, &fields) // what is no object has no fields
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		if !slices.ContainsFunc(givenFields(), func(known string) bool { return strings.EqualFold(known, name) }) {
			return name
		}
	}
	return ""
}

// givenFields names the fields of a message, as in the tags of given.
func givenFields() []string {
	var names []string
	for _, f := range reflect.VisibleFields(reflect.TypeFor[given]()) {
		names = append(names, f.Tag.Get("json"))
	}
	return names
}

// lay sets the fields of m that are given. item: a body that is not a JSON string is an error, and errors, which are kept beside the
// item, quote no values.
func (g *given) lay(m *medispatcher.Message, item bool) error {
	m.ID = "" // each has its own
	for _, f := range []struct {
		into *string
		from *string
	}{{&m.ID, g.ID}, {&m.Topic, g.Topic}, {&m.Sender, g.Sender}, {&m.Key, g.Key}, {&m.Type, g.Type}} {
		if f.from != nil {
			*f.into = *f.from
		}
	}
	if g.Headers != nil {
		m.Headers = g.Headers
	}
	var err error
	if m.Body, err = g.body(item); err != nil {
		return err
	}
	if text := scalar(g.Time); text != "" {
		ms, err := strconv.ParseInt(text, 10, 64)
		if err != nil || ms < 0 {
			if item {
				return errors.New("time: is not a unix time in milliseconds")
			}
			return fmt.Errorf("time: %q is not a unix time in milliseconds", text)
		}
		m.Time = time.UnixMilli(ms)
	}
	if text := scalar(g.Delay); text != "" {
		if m.Delay, err = medispatcher.ParseDelay(text); err != nil {
			if item {
				err = medispatcher.Unquoted(err)
			}
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
		return nil, errors.New(`body: is missing; give "body" or "body_base64", which may be empty`)
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

// inWords puts an error of encoding/json into the words of a producer.
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
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
		return SyntaxError("is not JSON: it ends too early")
	}
	return SyntaxError("is not JSON: " + err.Error())
}
