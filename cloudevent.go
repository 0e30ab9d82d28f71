package medispatcher

import (
	"fmt"
	"net/url"
	"strings"
	"time"
)

// CloudEventPrefix begins the headers of a message that are attributes of a CloudEvent.
const CloudEventPrefix = "ce-"

// eventSource is the source of a message without a sender.
const eventSource = "/medispatcher"

// CloudEvent is a message as a CloudEvent 1.0 (https://cloudevents.io), without its data, which is the body.
//
// The fields of a message say most of it: the topic is the type, the sender the source, the key the subject. Headers
// named ce-… stand in for them, and are the extension attributes. They hold the values as plain text. One without a value
// says that the event has no such attribute.
type CloudEvent struct {
	ID, Source, Type string
	Subject          string // "": it has none
	Time             string // RFC 3339, as its producer wrote it; "": that of the message, unless NoTime
	NoTime           bool
	NoContentType    bool // else it is the type of the message
	Extended         bool // it has extension attributes
}

// CloudEvent is the message as a CloudEvent. It is always a valid one, whatever the headers hold.
func (m *Message) CloudEvent() (e CloudEvent) {
	subject := false
	for name, value := range m.Headers {
		attribute, kind := AttributeOf(name)
		if kind == ExtensionAttribute {
			e.Extended = true
		}
		switch attribute {
		case "id":
			e.ID = value
		case "source":
			e.Source = value
		case "type":
			e.Type = value
		case "subject":
			e.Subject, subject = value, true
		case "time":
			if _, err := time.Parse(time.RFC3339, value); err == nil {
				e.Time = value
			}
			e.NoTime = value == ""
		case "datacontenttype":
			e.NoContentType = value == ""
		}
	}
	if e.ID == "" {
		e.ID = m.WebhookID()
	}
	if e.Source == "" {
		e.Source = m.Sender
	}
	if e.Source = CloudEventSource(e.Source); e.Source == "" {
		e.Source = eventSource
	}
	if e.Type == "" {
		e.Type = m.Topic
	}
	if !subject {
		e.Subject = m.Key
	}
	return e
}

// CloudEventTime writes the time of a message as that of an event: to the millisecond, in UTC.
func CloudEventTime(t time.Time) string { return string(AppendCloudEventTime(nil, t)) }

// AppendCloudEventTime appends CloudEventTime.
func AppendCloudEventTime(dst []byte, t time.Time) []byte {
	return t.UTC().AppendFormat(dst, "2006-01-02T15:04:05.999Z")
}

// AttributeKind says what a header of a message is for a CloudEvent.
type AttributeKind int

// The kinds of headers.
const (
	NoAttribute        AttributeKind = iota // no attribute
	CoreAttribute                           // an attribute that CloudEvents itself names, but dataschema
	ExtensionAttribute                      // any other attribute
	BadAttribute                            // named ce-…, and no attribute can have such a name
)

// AttributeOf is the attribute that a header of a message is, by its name. name is "" for NoAttribute.
func AttributeOf(header string) (name string, kind AttributeKind) {
	if len(header) <= len(CloudEventPrefix) || !strings.EqualFold(header[:len(CloudEventPrefix)], CloudEventPrefix) {
		return "", NoAttribute
	}
	switch name = strings.ToLower(header[len(CloudEventPrefix):]); {
	case isEventAttribute(name):
		return name, CoreAttribute
	case IsExtensionName(name):
		return name, ExtensionAttribute
	}
	return name, BadAttribute
}

func isEventAttribute(name string) bool {
	switch name {
	case "specversion", "id", "source", "type", "subject", "time", "datacontenttype":
		return true
	}
	return false
}

// IsExtensionName reports whether an extension attribute may have this name: lower-case letters and digits, and not a name that
// CloudEvents uses otherwise. dataschema is as good as one here.
func IsExtensionName(name string) bool {
	for i := range len(name) {
		if c := name[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') {
			return false
		}
	}
	return name != "" && name != "data" && !isEventAttribute(name)
}

// CloudEventSource is a text as the source of a CloudEvent, which is a URI-reference. One that is a URI-reference stays as it is. Of
// all others everything but letters, digits and -._~/ is percent-escaped.
func CloudEventSource(s string) string {
	plain := true
	for i := 0; plain && i < len(s); i++ {
		plain = plainSourceByte(s[i])
	}
	if plain || isURIReference(s) {
		return s
	}
	var b strings.Builder
	for i := range len(s) {
		if c := s[i]; plainSourceByte(c) && (i != 1 || s[:2] != "//") { // no host begins there
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}

func plainSourceByte(c byte) bool { return isAlnum(c) || strings.IndexByte("-._~/", c) >= 0 }

func isURIReference(s string) bool {
	for i := range len(s) {
		if c := s[i]; c == '%' && (i+2 >= len(s) || !isHex(s[i+1]) || !isHex(s[i+2])) || c != '%' && !plainSourceByte(c) && strings.IndexByte(":?#[]@!$&'()*+,;=", c) < 0 {
			return false
		}
	}
	u, err := url.Parse(s)
	return err == nil && strings.Count(s, "#") <= 1 && !strings.ContainsAny(strings.Replace(s, u.Host, "", 1), "[]")
}

func isHex(c byte) bool { return '0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F' }
