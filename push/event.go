package push

import (
	"encoding/base64"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/solate/medispatcher"
)

// eventBatchType is the content type of a batch of CloudEvents.
const eventBatchType = "application/cloudevents-batch+json"

// event appends the attributes of a message that is pushed as a CloudEvent in binary mode: the body is its data.
func (r *request) event(m *medispatcher.Message, e *medispatcher.CloudEvent) {
	r.head = append(r.head, "ce-specversion: 1.0\r\n"...)
	r.attribute("id", e.ID)
	r.attribute("source", e.Source)
	r.attribute("type", e.Type)
	if e.Subject != "" {
		r.attribute("subject", e.Subject)
	}
	if e.Time != "" {
		r.attribute("time", e.Time)
	} else if hasEventTime(m, e) {
		r.head = append(r.head, "ce-time: "...)
		r.head = append(medispatcher.AppendCloudEventTime(r.head, m.Time), "\r\n"...)
	}
	if !e.Extended {
		return
	}
	for header, value := range m.Headers {
		if name, kind := medispatcher.AttributeOf(header); kind == medispatcher.ExtensionAttribute {
			r.attribute(name, value)
		}
	}
}

// attribute appends an attribute as the HTTP binding of CloudEvents writes it: everything but printable ASCII, and space, quotes
// and percent signs, is percent-escaped.
func (r *request) attribute(name, value string) {
	r.head = append(append(append(r.head, medispatcher.CloudEventPrefix...), name...), ": "...)
	for i := range len(value) {
		if c := value[i]; c > ' ' && c < 0x7f && c != '"' && c != '%' {
			r.head = append(r.head, c)
		} else {
			r.head = appendPercent(r.head, c)
		}
	}
	r.head = append(r.head, "\r\n"...)
}

// hasEventTime reports whether the time of an event is that of its message. Only the years of four digits have a form.
func hasEventTime(m *medispatcher.Message, e *medispatcher.CloudEvent) bool {
	year := m.Time.UTC().Year()
	return !e.NoTime && year >= 0 && year <= 9999
}

// withoutAttributes takes out the headers that are for a CloudEvent alone. It returns the names of those that cannot be an
// attribute.
func withoutAttributes(h http.Header) (ignored []string) {
	for header := range h {
		_, kind := medispatcher.AttributeOf(header)
		if kind != medispatcher.NoAttribute {
			delete(h, header)
		}
		if kind == medispatcher.BadAttribute {
			ignored = append(ignored, header)
		}
	}
	return ignored
}

// appendEvent appends a message as it stands in a batch of CloudEvents, in their JSON format. headers are those that go out with it;
// see appendPacked.
func appendEvent(dst []byte, d *medispatcher.Delivery, headers map[string]string) []byte {
	m := &d.Message
	e := m.CloudEvent()
	dst = appendName(append(dst, `{"specversion":"1.0","id":`...), e.ID)
	dst = appendName(append(dst, `,"source":`...), e.Source)
	dst = appendName(append(dst, `,"type":`...), e.Type)
	if e.Subject != "" {
		dst = appendName(append(dst, `,"subject":`...), e.Subject)
	}
	if e.Time != "" {
		dst = appendName(append(dst, `,"time":`...), e.Time)
	} else if hasEventTime(m, &e) {
		dst = append(medispatcher.AppendCloudEventTime(append(dst, `,"time":"`...), m.Time), '"')
	}
	if !e.NoContentType {
		dst = appendName(append(dst, `,"datacontenttype":`...), m.Type)
	}
	extensions := extensionsOf(headers)
	for _, name := range slices.Sorted(maps.Keys(extensions)) { // so that the same batch has the same bytes
		dst = appendName(append(append(append(dst, `,"`...), name...), `":`...), extensions[name])
	}
	switch {
	case len(m.Body) == 0:
	case medispatcher.JSONType(m.Type) && !knownJSON(m.Type):
		dst = append(base64.StdEncoding.AppendEncode(append(dst, `,"data_base64":"`...), m.Body), '"')
	default:
		dst = appendData(dst, m, "data")
	}
	return append(dst, '}')
}

// knownJSON reports whether every receiver takes data of a content type as JSON. Of …+json some expect a string instead, the SDK for Go
// among them; base64 means the same to all.
func knownJSON(contentType string) bool {
	media, _, _ := strings.Cut(contentType, ";")
	media = strings.TrimSpace(media)
	return strings.EqualFold(media, medispatcher.DefaultType) || strings.EqualFold(media, "text/json")
}

// extensionsOf are the extension attributes of an event in a batch. A batch has no headers of single messages. So those that can be
// attributes are, traceparent among them, unless the event has such an attribute.
func extensionsOf(headers map[string]string) map[string]string {
	if len(headers) == 0 {
		return nil
	}
	extensions := make(map[string]string, len(headers))
	for header, value := range headers {
		if name := strings.ToLower(header); medispatcher.IsExtensionName(name) {
			extensions[name] = value
		}
	}
	for header, value := range headers {
		if name, kind := medispatcher.AttributeOf(header); kind == medispatcher.ExtensionAttribute {
			extensions[name] = value
		}
	}
	return extensions
}
