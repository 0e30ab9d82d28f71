package recover

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"time"
	"unicode/utf8"

	"github.com/solate/medispatcher"
)

// Line is one line of the DATA log. It holds a whole message, whose body is a string, or base64 if it is not
// UTF-8. What could not be decoded is in Raw.
type Line struct {
	Code         Code              `json:"code"`
	Time         time.Time         `json:"time"`
	Error        string            `json:"error,omitempty"`
	Subscription string            `json:"subscription,omitempty"`
	Attempt      int               `json:"attempt,omitempty"`
	Partition    int               `json:"partition"`
	Entry        string            `json:"entry,omitempty"`  // its id in the stream
	Source       string            `json:"source,omitempty"` // the recover list of an item
	Token        string            `json:"token,omitempty"`  // of the item
	Message      *Message          `json:"message,omitempty"`
	Raw          map[string]string `json:"raw,omitempty"`        // fields whose name and value are UTF-8
	RawBase64    map[string]string `json:"raw_base64,omitempty"` // the other fields, names in base64 too
}

// rawItem is the field of Raw that holds an item of a recover list.
const rawItem = "raw"

// Message is a message in JSON. Its fields have the names of those of an incoming entry.
type Message struct {
	ID         string            `json:"id,omitempty"`
	Generated  bool              `json:"generated,omitempty"` // medispatcher made the id from the entry's
	Topic      string            `json:"topic"`
	Body       *string           `json:"body,omitempty"`
	BodyBase64 []byte            `json:"body_base64,omitempty"`
	Sender     string            `json:"sender,omitempty"`
	Key        string            `json:"key,omitempty"`
	Type       string            `json:"type,omitempty"`
	Headers    map[string]string `json:"headers,omitempty"`
	Time       int64             `json:"time,omitempty"`  // unix ms
	Delay      int64             `json:"delay,omitempty"` // ms
}

// MessageOf puts m into its JSON form.
func MessageOf(m *medispatcher.Message) *Message {
	j := &Message{
		ID: m.ID, Generated: m.Generated, Topic: m.Topic, Sender: m.Sender, Key: m.Key, Type: m.Type,
		Headers: m.Headers, Delay: m.Delay.Milliseconds(),
	}
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

// Restore undoes MessageOf. It checks nothing.
func (j *Message) Restore() medispatcher.Message {
	m := medispatcher.Message{
		ID: j.ID, Generated: j.Generated, Topic: j.Topic, Sender: j.Sender, Key: j.Key, Type: j.Type,
		Headers: j.Headers, Body: j.BodyBase64, Delay: time.Duration(j.Delay) * time.Millisecond,
	}
	if j.Body != nil {
		m.Body = []byte(*j.Body)
	}
	if j.Time != 0 {
		m.Time = time.UnixMilli(j.Time)
	}
	return m
}

// SetRaw stores the fields of an entry that could not be decoded.
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

// Fields returns the fields that SetRaw stored.
func (l *Line) Fields() (map[string]string, error) {
	fields := make(map[string]string, len(l.Raw)+len(l.RawBase64))
	maps.Copy(fields, l.Raw)
	for name64, value64 := range l.RawBase64 {
		name, err := base64.StdEncoding.DecodeString(name64)
		if err != nil {
			return nil, fmt.Errorf("raw_base64: the name %q is not base64", name64)
		}
		value, err := base64.StdEncoding.DecodeString(value64)
		if err != nil {
			return nil, fmt.Errorf("raw_base64: the value of %q is not base64", name64)
		}
		fields[string(name)] = string(value)
	}
	return fields, nil
}

// keptIn is where Redis keeps a copy of what the line holds; "" if nowhere, or if the line does not say of which entry.
func (l *Line) keptIn() medispatcher.KeptPlace {
	switch {
	case !entryID.MatchString(l.Entry):
		return ""
	case l.Code == Unroutable:
		return medispatcher.PlaceUnrouted
	case l.Code == DecodeError, l.Code == RedistributeFail:
		return medispatcher.PlaceQuarantine
	}
	return ""
}

// ownToken is the form of the tokens that a watcher makes. A line may say anything, and its token becomes part of a key.
var ownToken = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}(\.[0-9]{1,9})?$`)

// OnceToken identifies what recovering the line would publish, so that recovering it twice publishes it once.
// Two lines about the same event of the same message have the same token: a lost reply may cause such.
func (l *Line) OnceToken() string {
	if l.Code == RecoverFailBack && ownToken.MatchString(l.Token) {
		return l.Token // the watcher has the same token: it or the operator publishes, whoever is first
	}
	if l.keptIn() != "" {
		return medispatcher.KeptToken(l.Entry, l.Subscription) // a replay of the copy has the same token
	}
	same := Line{Code: l.Code, Token: l.Token}
	if l.Token == "" {
		same = *l
		same.Error, same.Attempt = "", 0
		if l.Entry != "" || l.Message != nil && l.Message.ID != "" {
			same.Time = time.Time{}
		}
	}
	text, err := json.Marshal(same)
	if err != nil {
		panic(err) // strings, numbers and maps of strings; the time was read from JSON
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:16])
}
