package recover

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/solate/medispatcher"
)

// Code says why a line stands in the DATA log; docs/OPERATIONS.md tells what to do about each.
type Code string

// The codes written so far.
const (
	DecodeError      Code = "DECODERR"   // an incoming entry cannot be decoded; it is in the quarantine
	RedistributeFail Code = "REDISTFAIL" // a channel could not take its copy; it is in the quarantine
	DroppedMessage   Code = "DROPPED"    // attempts are exhausted and the drop policy says log
	Sent             Code = "SENT"       // delivered at the first attempt
	Resent           Code = "RESENT"     // delivered at a later one
)

// Line is one line of the DATA log. A message stands in it whole: its body as a string, or
// in base64 when it is not UTF-8. What could not be decoded stands in Raw.
type Line struct {
	Code         Code              `json:"code"`
	Time         time.Time         `json:"time"`
	Error        string            `json:"error,omitempty"`
	Subscription string            `json:"subscription,omitempty"`
	Attempt      int               `json:"attempt,omitempty"`
	Partition    int               `json:"partition"`
	Entry        string            `json:"entry,omitempty"` // id in its stream
	Message      *Message          `json:"message,omitempty"`
	Raw          map[string]string `json:"raw,omitempty"`        // fields that are UTF-8
	RawBase64    map[string]string `json:"raw_base64,omitempty"` // the others, names too
}

// Message is a message in JSON, by the names of the fields of an incoming entry.
type Message struct {
	ID         string            `json:"id,omitempty"`
	Topic      string            `json:"topic"`
	Body       *string           `json:"body,omitempty"`
	BodyBase64 []byte            `json:"body_base64,omitempty"`
	Sender     string            `json:"sender,omitempty"`
	Key        string            `json:"key,omitempty"`
	Type       string            `json:"type,omitempty"`
	Headers    map[string]string `json:"headers,omitempty"`
	Time       int64             `json:"time,omitempty"` // unix ms
}

// MessageOf is m in JSON.
func MessageOf(m *medispatcher.Message) *Message {
	j := &Message{ID: m.ID, Topic: m.Topic, Sender: m.Sender, Key: m.Key, Type: m.Type, Headers: m.Headers}
	if !m.Time.IsZero() {
		j.Time = m.Time.UnixMilli()
	}
	if utf8.Valid(m.Body) {
		body := string(m.Body)
		j.Body = &body
	} else {
		j.BodyBase64 = m.Body
	}
	return j
}

// SetRaw keeps fields that could not be decoded.
func (l *Line) SetRaw(fields map[string]string) {
	for name, value := range fields {
		if utf8.ValidString(name) && utf8.ValidString(value) {
			if l.Raw == nil {
				l.Raw = map[string]string{}
			}
			l.Raw[name] = value
			continue
		}
		if l.RawBase64 == nil {
			l.RawBase64 = map[string]string{}
		}
		l.RawBase64[base64.StdEncoding.EncodeToString([]byte(name))] = base64.StdEncoding.EncodeToString([]byte(value))
	}
}

// DataLog writes lines. It is safe for concurrent use.
type DataLog struct {
	mu sync.Mutex
	w  io.Writer
	f  *os.File // nil when w is not ours to close
	// torn: a write failed inside a line. The next one begins on a line of its own.
	torn bool
}

// OpenDataLog opens a DATA log: a file that is appended to, or "-" for stdout.
func OpenDataLog(path string, stdout io.Writer) (*DataLog, error) {
	if path == "-" {
		return &DataLog{w: stdout}, nil
	}
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600) // messages may be confidential
	if err != nil {
		return nil, fmt.Errorf("DATA log: %w; set MEDIS_DATA_LOG to a file that can be written, or to - for stdout", err)
	}
	return &DataLog{w: f, f: f}, nil
}

// Write appends a line. Its time is set.
func (d *DataLog) Write(l Line) error {
	l.Time = time.Now().UTC()
	text, err := json.Marshal(l)
	if err != nil {
		return fmt.Errorf("DATA log: %w", err)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	text = append(text, '\n')
	if d.torn {
		text = append([]byte{'\n'}, text...)
	}
	n, err := d.w.Write(text)
	if d.torn = err != nil && (d.torn || n > 0); err != nil {
		return fmt.Errorf("DATA log: %w", err)
	}
	return nil
}

// Close closes the file.
func (d *DataLog) Close() error {
	if d.f == nil {
		return nil
	}
	return d.f.Close()
}
