package push

import (
	"bytes"
	"context"
	"io"
	"maps"
	"net/http"
	"net/textproto"
	"net/url"
	"strconv"
	"time"

	"github.com/solate/medispatcher"
)

// Names of headers in their canonical form, as http.Header keeps them.
const (
	headerID           = "Webhook-Id"
	headerTimestamp    = "Webhook-Timestamp"
	headerSignature    = "Webhook-Signature"
	headerTopic        = "Medis-Topic"
	headerSubscription = "Medis-Subscription"
	headerAttempt      = "Medis-Attempt"
	headerSender       = "Medis-Sender"
)

// requestFor makes the request of one attempt. Nothing in it is shared with another
// attempt but the URL, which nobody changes. ignored are the names of
// the message's headers that it may not set.
func requestFor(ctx context.Context, s *settings, d *medispatcher.Delivery, u *url.URL, agent string, now time.Time) (req *http.Request, ignored []string) {
	body, contentType := d.Message.Body, d.Message.Type
	if s.sub.Encoding == medispatcher.EncodingForm {
		var query string
		body, query = formBody(d)
		u, contentType = withQuery(u, query), formType
	}
	h := make(http.Header, 9+len(d.Message.Headers)+len(s.headers))
	values := make([]string, 0, 9) // one allocation for all headers set here
	set := func(name, value string) {
		values = append(values, value)
		h[name] = values[len(values)-1 : len(values) : len(values)]
	}
	for name, value := range d.Message.Headers {
		if medispatcher.ReservedHeader(name) {
			ignored = append(ignored, name)
			continue
		}
		h[textproto.CanonicalMIMEHeaderKey(name)] = []string{value}
	}
	if s.sub.Encoding == medispatcher.EncodingForm {
		renameHeader(h, "Context", "X-Jumei-Context")
		renameHeader(h, "Owl_context", "X-Jumei-Owl-Context")
	}
	maps.Copy(h, s.headers)
	if h["User-Agent"] == nil {
		set("User-Agent", agent)
	}
	id := d.Message.WebhookID()
	set("Content-Type", contentType)
	set(headerID, id)
	set(headerTimestamp, strconv.FormatInt(now.Unix(), 10))
	if signature := s.signer.sign(id, now, body); signature != "" {
		set(headerSignature, signature)
	}
	set(headerTopic, d.Message.Topic)
	set(headerSubscription, d.Subscription)
	set(headerAttempt, strconv.Itoa(d.Attempt))
	if d.Message.Sender != "" {
		set(headerSender, d.Message.Sender)
	}
	req = &http.Request{
		Method: http.MethodPost, URL: u, Host: u.Host, Header: h, ContentLength: int64(len(body)),
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
	}
	if len(body) > 0 {
		req.Body = io.NopCloser(bytes.NewReader(body))
		req.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }
	} else {
		req.Body = http.NoBody
	}
	return req.WithContext(ctx), ignored
}

func renameHeader(h http.Header, from, to string) {
	if v, ok := h[from]; ok {
		h[to] = v
		delete(h, from)
	}
}
