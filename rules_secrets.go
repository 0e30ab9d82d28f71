package medispatcher

import (
	"encoding/json"
	"net"
	"net/url"
	"strings"
)

// givenAgain are the problems of secrets that a change would send to a host that never got them, or would show. Whoever
// changes a URL may not know them, and would learn them that way. said is what the writer wrote.
func givenAgain(was, now *Subscription, said document) (p Problems) {
	where := newPlace(was.URLs, now.URLs)
	var given map[string]string
	_ = json.Unmarshal(said["headers"], &given) // a wrong type is reported elsewhere
	for _, name := range sortedKeys(now.Headers) {
		value := now.Headers[name]
		if value == "" || value != headerOf(was.Headers, name) {
			continue
		}
		if written := headerOf(given, name); written != "" && written != Mask {
			continue
		}
		switch {
		case where != "" && (isSecretHeader(name, now.SecretHeaders) || isSecretHeader(name, was.SecretHeaders)):
			p.add("headers", "%s must be given again or taken out, because the URLs go to %s", quote(name), where)
		case isSecretHeader(name, was.SecretHeaders) && !isSecretHeader(name, now.SecretHeaders):
			p.add("secret_headers", "must keep %s, or its value must be given again: it would be shown", quote(name))
		}
	}
	if where != "" && now.Secret != "" && now.Secret == was.Secret && (said.secret() == "" || said.secret() == SecretMask) {
		p.add("secret", "must be given again or taken out, because the URLs go to %s", where)
	}
	return p
}

// headerOf is the value of a header, whatever the case of its name.
func headerOf(headers map[string]string, name string) string {
	for other, value := range headers {
		if strings.EqualFold(other, name) {
			return value
		}
	}
	return ""
}

// newPlace says where URLs go that the ones before did not: a host and port, or one that was reached by TLS alone. "" if
// there is none.
func newPlace(before, now []string) string {
	secure := map[string]bool{} // by host and port; false: plain HTTP went there, too
	for _, u := range before {
		at, tls := hostAndPort(u)
		if others, known := secure[at]; known {
			tls = tls && others
		}
		secure[at] = tls
	}
	for _, u := range now {
		switch at, tls := hostAndPort(u); {
		case at == "":
		case secure[at] && !tls:
			return quote(at) + " without TLS"
		default:
			if _, known := secure[at]; !known {
				return "another host, " + quote(at)
			}
		}
	}
	return ""
}

// hostAndPort is where a worker URL goes, and whether by TLS; "" if it cannot be read.
func hostAndPort(tagged string) (at string, tls bool) {
	_, raw := SplitURL(tagged)
	u, err := url.Parse(escapeURL(raw))
	if err != nil || u.Hostname() == "" {
		return "", false
	}
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	return net.JoinHostPort(strings.ToLower(u.Hostname()), port), u.Scheme == "https"
}
