package http1

import (
	"encoding/base64"
	"net"
	"net/http"
	"net/textproto"
	"net/url"
	"strings"
)

// targetOf returns where req goes.
func targetOf(req *http.Request) (connKey, error) {
	u := req.URL
	if u == nil {
		return connKey{}, invalidf("URL is nil")
	}
	key := connKey{addr: u.Host}
	port := "80"
	switch u.Scheme {
	case "http":
	case "https":
		key.tls, port = true, "443"
	default:
		return key, invalidf("URL scheme %q: use http or https", u.Scheme)
	}
	if u.Hostname() == "" {
		return key, invalidf("URL has no host")
	}
	if !all(u.Host, hostByte) {
		return key, invalidf("URL host %q: use ASCII (punycode)", u.Host)
	}
	if u.Port() == "" {
		key.addr = net.JoinHostPort(u.Hostname(), port)
	}
	return key, nil
}

// appendHead appends the request line and all headers but those that frame the
// body. Nothing is sent yet, so it can fail half way.
func (w *wire) appendHead(req *http.Request) error {
	method := req.Method
	if method == "" {
		method = http.MethodGet
	}
	if !isToken(method) || method == http.MethodConnect {
		return invalidf("method %q", method)
	}
	uri := req.URL.RequestURI()
	if !all(uri, uriByte) {
		return invalidf("URL holds a space or a control character: escape it")
	}
	if uri[0] != '/' && uri != "*" && req.URL.Opaque == "" {
		return invalidf("URL path must begin with a slash")
	}
	host := req.Host
	if host == "" {
		host = req.URL.Host
	}
	host = withoutZone(host)
	if !all(host, hostByte) {
		return invalidf("Host %q", host)
	}
	if len(req.Trailer) > 0 {
		return invalidf("request trailers are not supported")
	}

	w.head = append(w.head, method...)
	w.head = append(w.head, ' ')
	w.head = append(w.head, uri...)
	w.head = append(w.head, " HTTP/1.1\r\n"...)
	w.appendField("Host", host)
	auth, err := w.appendFields(req.Header)
	if err != nil {
		return err
	}
	if !auth && req.URL.User != nil {
		w.appendBasicAuth(req.URL.User)
	}
	if req.Close && !w.close {
		w.appendField("Connection", "close")
		w.close = true
	}
	return nil
}

// appendFields appends the caller's headers but those this package sets. It
// tells whether Authorization is among them. Errors do not quote values, which
// may be secret.
func (w *wire) appendFields(header http.Header) (auth bool, err error) {
	for name, values := range header {
		if !isToken(name) {
			return false, invalidf("header name %q", name)
		}
		switch kind(name) { //nolint:exhaustive // ordinary ones need nothing
		case framing:
			continue
		case userAgent:
			if len(values) > 0 && values[0] == "" {
				continue // net/http's way to say: none
			}
		case authorization:
			auth = true
		case connection:
			w.close = w.close || hasClose(values)
		}
		for _, v := range values {
			if !all(v, valueByte) {
				return false, invalidf("value of header %q holds a control character", name)
			}
			w.appendField(name, textproto.TrimString(v))
		}
	}
	return auth, nil
}

// appendField appends one header.
func (w *wire) appendField(name, value string) {
	w.head = append(w.head, name...)
	w.head = append(w.head, ": "...)
	w.head = append(w.head, value...)
	w.head = append(w.head, "\r\n"...)
}

// appendBasicAuth appends an Authorization header for the URL's user.
func (w *wire) appendBasicAuth(user *url.Userinfo) {
	password, _ := user.Password()
	w.head = append(w.head, "Authorization: Basic "...)
	w.head = base64.StdEncoding.AppendEncode(w.head, []byte(user.Username()+":"+password))
	w.head = append(w.head, "\r\n"...)
}

// headerKind tells headers that need care from others.
type headerKind int

const (
	ordinary headerKind = iota
	framing             // set by this package: the caller's could smuggle
	userAgent
	authorization
	connection
)

// kind returns the kind of a header. Case does not matter: a map may hold keys
// that are not canonical.
func kind(name string) headerKind {
	is := func(s string) bool { return strings.EqualFold(name, s) }
	switch len(name) {
	case len("Host"):
		if is("Host") {
			return framing
		}
	case len("Trailer"):
		if is("Trailer") {
			return framing
		}
	case len("Connection"):
		if is("Connection") {
			return connection
		}
		if is("User-Agent") {
			return userAgent
		}
	case len("Authorization"):
		if is("Authorization") {
			return authorization
		}
	case len("Content-Length"):
		if is("Content-Length") {
			return framing
		}
	case len("Transfer-Encoding"):
		if is("Transfer-Encoding") {
			return framing
		}
	}
	return ordinary
}

// hasClose tells whether a Connection header asks to close.
func hasClose(values []string) bool {
	for _, v := range values {
		for token := range strings.SplitSeq(v, ",") {
			if strings.EqualFold(textproto.TrimString(token), "close") {
				return true
			}
		}
	}
	return false
}

// withoutZone returns host without the zone of an IPv6 address, which means
// nothing to the server.
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
