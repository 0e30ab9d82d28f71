package http1

import (
	"bytes"
	"net"
	"net/textproto"
	"net/url"
	"strings"
	"sync/atomic"
	"time"
)

// Target is where requests go: a checked URL, with the start of each request to it ready.
type Target struct {
	key  connKey
	line []byte // "POST /path?query"
	join string // goes between line and Request.Query
	rest []byte // " HTTP/1.1\r\nHost: …\r\n"

	left atomic.Pointer[time.Time] // when it was last found to have closed a connection that was used; nil: never
	once atomic.Pointer[time.Time] // the same of a connection that had served one request
	kept atomic.Bool               // a connection has served more than one
}

// wary is how long every connection is looked at before it is used again, after one proved closed only then. A server that closes
// its side after an answer without saying so, and reads on, would take requests that it cannot answer, and take them again.
const wary = time.Minute

// leaves reports whether the server may close a connection at any time after an answer.
func (t *Target) leaves(now time.Time) bool { return lately(&t.left, now) }

// servesOnce reports whether the server seems to close each connection after its first answer. A look before the second request may
// come too early to notice that, so each request gets a connection of its own. A server that once took a second request was restarted.
func (t *Target) servesOnce(now time.Time) bool { return !t.kept.Load() && lately(&t.once, now) }

func lately(was *atomic.Pointer[time.Time], now time.Time) bool {
	at := was.Load()
	return at != nil && now.Sub(*at) < wary
}

// NewTarget checks a URL and makes a Target of it. Its userinfo is not sent: that takes a header field of its own. The
// error wraps [ErrInvalidRequest].
func NewTarget(u *url.URL) (*Target, error) {
	if u == nil {
		return nil, invalidf("URL is nil")
	}
	key := connKey{addr: u.Host}
	port := "80"
	switch u.Scheme {
	case "http":
	case "https":
		key.tls, port = true, "443"
	default:
		return nil, invalidf("URL scheme %q: use http or https", u.Scheme)
	}
	host := withoutZone(u.Host)
	uri := u.RequestURI()
	switch {
	case u.Hostname() == "":
		return nil, invalidf("URL has no host")
	case !all(u.Host, hostByte) || !all(host, hostByte):
		return nil, invalidf("URL host %q: use ASCII (punycode)", u.Host)
	case !all(uri, uriByte):
		return nil, invalidf("URL holds a space or a control character: escape it")
	case uri[0] != '/' && u.Opaque == "":
		return nil, invalidf("URL path must begin with a slash")
	}
	if u.Port() == "" {
		key.addr = net.JoinHostPort(u.Hostname(), port)
	}
	t := &Target{key: key, line: []byte("POST " + uri), join: "&", rest: []byte(" HTTP/1.1\r\nHost: " + host + "\r\n")}
	if at := bytes.IndexByte(t.line, '?'); at < 0 {
		t.join = "?"
	} else if at == len(t.line)-1 {
		t.join = ""
	}
	return t, nil
}

// Origin is scheme, host and port, such as "https://example.org:443": what connections are made to.
func (t *Target) Origin() string {
	if t.key.tls {
		return "https://" + t.key.addr
	}
	return "http://" + t.key.addr
}

// AppendField appends a header field, "Name: value\r\n". The error wraps [ErrInvalidRequest] and does not quote the value,
// which may be secret; dst is returned unchanged with it.
func AppendField(dst []byte, name, value string) ([]byte, error) {
	switch {
	case !isToken(name):
		return dst, invalidf("header name %q", name)
	case framing(name):
		return dst, invalidf("header %q belongs to the HTTP client", name)
	case !all(value, valueByte):
		return dst, invalidf("value of header %q holds a control character", name)
	}
	dst = append(dst, name...)
	dst = append(dst, ": "...)
	dst = append(dst, textproto.TrimString(value)...)
	return append(dst, "\r\n"...), nil
}

// framing reports whether a header says where a request begins and ends, or what becomes of its connection: a second one
// could smuggle another request.
func framing(name string) bool {
	switch len(name) {
	case len("Host"):
		return strings.EqualFold(name, "Host")
	case len("Trailer"):
		return strings.EqualFold(name, "Trailer")
	case len("Connection"):
		return strings.EqualFold(name, "Connection")
	case len("Content-Length"):
		return strings.EqualFold(name, "Content-Length")
	case len("Transfer-Encoding"):
		return strings.EqualFold(name, "Transfer-Encoding")
	}
	return false
}

// withoutZone returns host without the zone of an IPv6 address, which means nothing to the server.
func withoutZone(host string) string {
	if !strings.HasPrefix(host, "[") {
		return host
	}
	zone, end := strings.IndexByte(host, '%'), strings.LastIndexByte(host, ']')
	if zone < 0 || end < zone {
		return host
	}
	return host[:zone] + host[end:]
}
