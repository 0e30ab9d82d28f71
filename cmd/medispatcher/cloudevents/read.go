// Package cloudevents makes messages of CloudEvents 1.0 (https://cloudevents.io), as their HTTP binding and their JSON format
// carry them. Message.CloudEvent is the way back. Nothing of an event is lost: what a message has no field for is in its headers.
//
// It imports the root package alone. The module openapi compares it with the SDK of CloudEvents.
package cloudevents

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"mime"
	"net/http"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/solate/medispatcher"
)

// The content types of events that are JSON as a whole.
const (
	Structured = "application/cloudevents+json"
	Batched    = "application/cloudevents-batch+json"
)

// MaxBatch is the most events of a batch.
const MaxBatch = 1000

// MaxRequest is the most bytes of a request whose events have bodies of at most maxBody bytes: base64 or escapes of JSON make
// them longer, and the attributes need room.
func MaxRequest(maxBody int64) int64 { return 2*maxBody + 256<<10 }

// UnsupportedError is a content type that says that the events are in a form which is not read.
type UnsupportedError string

func (e UnsupportedError) Error() string {
	return fmt.Sprintf("the content type %.80q is not read; send events as %s, as %s, or in binary mode with the headers ce-id, ce-source and so on",
		string(e), Structured, Batched)
}

// Reader reads events.
type Reader struct {
	MaxBody int64  // of the data of one event, in bytes
	Topic   string // the topic of the messages; "": the type of each event

	Headers map[string]string // of each message, beside its attributes
}

// Request reads the events of a request, one unless its content type says that it is a batch. The messages are checked. The error is
// an UnsupportedError, medispatcher.ErrTooLarge, wrapped, or medispatcher.Problems, which name each attribute: "type", or "[3].type"
// in a batch.
func (r Reader) Request(h http.Header, body []byte) ([]medispatcher.Message, error) {
	contentType := h.Get("Content-Type")
	media, _, err := mime.ParseMediaType(contentType)
	if err != nil {
		media = strings.ToLower(strings.TrimSpace(contentType))
	}
	switch {
	case media == Structured || media == Batched:
		return r.JSON(body, media == Batched)
	case strings.HasPrefix(media, "application/cloudevents"):
		return nil, UnsupportedError(contentType)
	}
	e, problems := binaryEvent(h, body)
	m, err := r.message(e, problems, "")
	if err != nil {
		return nil, err
	}
	return []medispatcher.Message{m}, nil
}

// JSON reads an event in the JSON format, or a batch of them. The errors are those of Request.
func (r Reader) JSON(text []byte, batch bool) ([]medispatcher.Message, error) {
	if !utf8.Valid(text) {
		return nil, medispatcher.Problems{{Field: "body", Problem: "is not UTF-8; put data that is no text into data_base64"}}
	}
	var list []json.RawMessage
	if !batch {
		list = []json.RawMessage{text}
	} else if err := json.Unmarshal(text, &list); err != nil || list == nil {
		return nil, medispatcher.Problems{{Field: "body", Problem: "is not a JSON array of events" + because(err)}}
	}
	if len(list) > MaxBatch {
		return nil, medispatcher.Problems{{Field: "body", Problem: fmt.Sprintf("holds %d events; give at most %d", len(list), MaxBatch)}}
	}
	messages := make([]medispatcher.Message, 0, len(list))
	var all medispatcher.Problems
	for i, raw := range list {
		place := ""
		if batch {
			place = fmt.Sprintf("[%d].", i)
		}
		e, problems := jsonEvent(raw)
		m, err := r.message(e, problems, place)
		if wrong, is := err.(medispatcher.Problems); is { //nolint:errorlint // of message
			all = append(all, wrong...)
			continue
		}
		if err != nil {
			return nil, err
		}
		messages = append(messages, m)
	}
	if len(all) > 0 {
		return nil, all
	}
	return messages, nil
}

func because(err error) string {
	if err == nil {
		return ""
	}
	return ": " + err.Error()
}

// event is an event as it was sent: attributes in plain text by their names, and the bytes of its data.
type event struct {
	attributes map[string]string
	data       []byte
}

// binaryEvent reads an event in binary mode: attributes are headers, and the data is the body.
func binaryEvent(h http.Header, body []byte) (e event, problems medispatcher.Problems) {
	e = event{map[string]string{}, body}
	for header, values := range h {
		name, is := strings.CutPrefix(strings.ToLower(header), medispatcher.CloudEventPrefix)
		switch {
		case !is:
			continue
		case len(values) > 1:
			problems = append(problems, medispatcher.FieldError{Field: name, Problem: "the header " + header + " is given twice"})
		case name == "datacontenttype" || name == "data":
			problems = append(problems, medispatcher.FieldError{Field: name, Problem: "the header " + header + " is not allowed: in binary mode the data is the body, and Content-Type its type"})
		}
		value := unescaped(values[0])
		if !utf8.ValidString(value) {
			problems = append(problems, medispatcher.FieldError{Field: name, Problem: "is not UTF-8 when its percent signs are decoded"})
		}
		e.attributes[name] = value
	}
	e.attributes["datacontenttype"] = h.Get("Content-Type")
	if _, given := e.attributes["specversion"]; !given {
		problems = append(problems, medispatcher.FieldError{Field: "specversion", Problem: "is missing: this is no CloudEvent. Send the headers ce-specversion: 1.0, ce-id, ce-source and ce-type, or the event as " + Structured})
	}
	return e, problems
}

// unescaped is the value of a header as the HTTP binding reads it: without the quotes and backslashes of earlier versions, and with
// percent signs decoded. A percent sign without two hex digits stands for itself.
func unescaped(value string) string {
	if n := len(value); n >= 2 && value[0] == '"' && value[n-1] == '"' {
		var b strings.Builder
		for i := 1; i < n-1; i++ {
			if value[i] == '\\' && i+1 < n-1 {
				i++
			}
			b.WriteByte(value[i])
		}
		value = b.String()
	}
	if !strings.Contains(value, "%") {
		return value
	}
	out := make([]byte, 0, len(value))
	for i := 0; i < len(value); i++ {
		if value[i] == '%' && i+2 < len(value) {
			if c, err := hex.DecodeString(value[i+1 : i+3]); err == nil {
				out = append(out, c...)
				i += 2
				continue
			}
		}
		out = append(out, value[i])
	}
	return string(out)
}

// jsonEvent reads an event in the JSON format.
func jsonEvent(raw []byte) (e event, problems medispatcher.Problems) {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(raw, &members); err != nil || members == nil {
		return e, medispatcher.Problems{{Field: "body", Problem: `is not a JSON object such as {"specversion":"1.0","id":"1","source":"/shop","type":"order.created","data":{}}` + because(err)}}
	}
	e.attributes = map[string]string{}
	data, inBase64 := members["data"], members["data_base64"]
	delete(members, "data")
	delete(members, "data_base64")
	for name, value := range members {
		text, problem := attributeText(value)
		if problem != "" {
			problems = append(problems, medispatcher.FieldError{Field: name, Problem: problem})
		} else if string(value) != "null" {
			e.attributes[name] = text
		}
	}
	if _, given := members["specversion"]; !given {
		problems = append(problems, medispatcher.FieldError{Field: "specversion", Problem: `is missing: give "specversion":"1.0"`})
	}
	if string(data) == "null" {
		data = nil
	}
	if string(inBase64) == "null" {
		inBase64 = nil
	}
	switch contentType := e.attributes["datacontenttype"]; {
	case data != nil && inBase64 != nil:
		problems = append(problems, medispatcher.FieldError{Field: "data", Problem: "stands beside data_base64; give one of them"})
	case inBase64 != nil:
		if err := json.Unmarshal(inBase64, &e.data); err != nil || inBase64[0] != '"' {
			problems = append(problems, medispatcher.FieldError{Field: "data_base64", Problem: "is not a string in base64"})
		}
	case data != nil && (contentType == "" || medispatcher.JSONType(contentType)):
		e.data = bytes.Clone(data)
	case data != nil:
		var text string
		if err := json.Unmarshal(data, &text); err != nil {
			problems = append(problems, medispatcher.FieldError{Field: "data", Problem: fmt.Sprintf("must be a string, because the datacontenttype %.80q is not JSON; bytes go into data_base64", contentType)})
		}
		e.data = []byte(text)
	}
	return e, problems
}

// attributeText is the value of an attribute as text: strings, whole numbers and truth values have one.
func attributeText(value json.RawMessage) (text, problem string) {
	var v any
	numbers := json.NewDecoder(bytes.NewReader(value))
	numbers.UseNumber()
	if err := numbers.Decode(&v); err != nil {
		return "", err.Error()
	}
	switch v := v.(type) {
	case string:
		return v, ""
	case bool:
		return fmt.Sprint(v), ""
	case nil:
		return "", ""
	case json.Number:
		if !slices.ContainsFunc([]byte(v), func(c byte) bool { return (c < '0' || c > '9') && c != '-' }) {
			return v.String(), ""
		}
	}
	return "", "must be a string, a whole number, true or false"
}
