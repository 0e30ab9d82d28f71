package push

import (
	"net/http"
	"net/textproto"
	"strconv"
	"sync"
	"time"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/push/http1"
)

// Names of headers in their canonical form, as http.Header keeps them.
const (
	headerID            = "Webhook-Id"
	headerTimestamp     = "Webhook-Timestamp"
	headerSignature     = "Webhook-Signature"
	headerTopic         = "Medis-Topic"
	headerSubscription  = "Medis-Subscription"
	headerAttempt       = "Medis-Attempt"
	headerSender        = "Medis-Sender"
	headerBatch         = "Medis-Batch"
	headerReplay        = "Medis-Replay"
	headerType          = "Content-Type"
	headerUserAgent     = "User-Agent"
	headerAuthorization = "Authorization"
)

// request is the request of one attempt, with the memory that its header is made in.
type request struct {
	http1.Request
	head []byte
	pack []byte // the body of a batch
	err  error  // the first that appending a header field met
}

// maxPack is the largest body of a batch whose memory is kept for others, in bytes.
const maxPack = 256 << 10

var requests = sync.Pool{New: func() any { return new(request) }}

// release gives the memory back for other requests.
func (r *request) release() {
	if cap(r.pack) > maxPack {
		r.pack = nil
	}
	*r = request{head: r.head[:0], pack: r.pack[:0]}
	requests.Put(r)
}

// build makes the request of one attempt. h are the headers of the message that go out; see forwarded.
func (r *request) build(s *settings, d *medispatcher.Delivery, t *target, h http.Header, agent string, now time.Time) error {
	r.To, r.Body, r.err = t.to, d.Message.Body, s.ways().err
	contentType := d.Message.Type
	r.Keep = keptAnswer
	if s.sub.Encoding == medispatcher.EncodingForm {
		r.Body, r.Query = formBody(d)
		r.Keep, r.KeepOK, contentType = maxAnswer, true, formType
	}
	var event medispatcher.CloudEvent
	if s.events() {
		if event = d.Message.CloudEvent(); event.NoContentType {
			contentType = ""
		}
	}
	if err := r.begin(s, t, h, agent); err != nil {
		return err
	}
	r.identify(s, d.Message.WebhookID(), contentType, now)
	r.field(headerTopic, d.Message.Topic)
	r.count(headerAttempt, int64(d.Attempt))
	if d.Message.Sender != "" {
		r.field(headerSender, d.Message.Sender)
	}
	if d.Replay {
		r.field(headerReplay, "true")
	}
	if s.events() {
		r.event(&d.Message, &event)
	}
	if len(h) > 0 && r.err == nil {
		r.head, r.err = appendHeader(r.head, h)
	}
	r.Head = r.head
	return r.err
}

// begin begins the header with what requests of all kinds have. h are headers that go out with it.
func (r *request) begin(s *settings, t *target, h http.Header, agent string) error {
	if t.err != nil {
		return t.err
	}
	r.head = append(r.head[:0], s.ways().head...)
	if s.ways().headers[headerUserAgent] == nil && h[headerUserAgent] == nil {
		r.field(headerUserAgent, agent)
	}
	if s.ways().headers[headerAuthorization] == nil && h[headerAuthorization] == nil {
		r.head = append(r.head, t.auth...)
	}
	return nil
}

// identify appends what Standard Webhooks asks for: type, unless that is "", id, time and signature of the body.
func (r *request) identify(s *settings, id, contentType string, now time.Time) {
	if contentType != "" {
		r.field(headerType, contentType)
	}
	r.field(headerID, id)
	r.count(headerTimestamp, now.Unix())
	if s.ways().signer.signs() {
		r.head = append(r.head, headerSignature+": "...)
		r.head = append(s.ways().signer.sign(r.head, id, now, r.Body), "\r\n"...)
	}
}

// field appends a header field.
func (r *request) field(name, value string) {
	if r.err == nil {
		r.head, r.err = http1.AppendField(r.head, name, value)
	}
}

// count appends a header field that is a number.
func (r *request) count(name string, n int64) {
	r.head = append(append(r.head, name...), ": "...)
	r.head = append(strconv.AppendInt(r.head, n, 10), "\r\n"...)
}

// appendHeader appends the fields of h. An empty User-Agent means that none is sent.
func appendHeader(dst []byte, h http.Header) (_ []byte, err error) {
	for name, values := range h {
		for _, v := range values {
			if name == headerUserAgent && v == "" {
				continue
			}
			if dst, err = http1.AppendField(dst, name, v); err != nil {
				return dst, err
			}
		}
	}
	return dst, nil
}

// allowed are headers under their canonical names, but for those that the dispatcher or HTTP itself sets.
func allowed(headers map[string]string) (h http.Header, ignored []string) {
	if len(headers) == 0 {
		return nil, nil
	}
	h = make(http.Header, len(headers))
	values := make([]string, 0, len(headers)) // one allocation for all
	for name, value := range headers {
		if medispatcher.ReservedHeader(name) {
			ignored = append(ignored, name)
			continue
		}
		values = append(values, value)
		h[textproto.CanonicalMIMEHeaderKey(name)] = values[len(values)-1 : len(values) : len(values)]
	}
	return h, ignored
}

// forwarded are the headers of a message that go out with it: those that its subscription does not set itself. ignored are
// the names of those that it may not set.
func forwarded(s *settings, d *medispatcher.Delivery) (h http.Header, ignored []string) {
	h, ignored = allowed(d.Message.Headers)
	if h == nil {
		return nil, nil
	}
	if s.sub.Encoding == medispatcher.EncodingForm {
		renameHeader(h, "Context", "X-Jumei-Context")
		renameHeader(h, "Owl_context", "X-Jumei-Owl-Context")
	}
	if s.events() {
		ignored = append(ignored, withoutAttributes(h)...)
	}
	s.override(h)
	return h, ignored
}

// override takes out headers that the subscription sets by itself.
func (s *settings) override(h http.Header) {
	for name := range s.ways().headers {
		delete(h, name)
	}
}

func renameHeader(h http.Header, from, to string) {
	if v, ok := h[from]; ok {
		h[to] = v
		delete(h, from)
	}
}
