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
	host := newHost(was.URLs, now.URLs)
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
		case host != "" && (isSecretHeader(name, now.SecretHeaders) || isSecretHeader(name, was.SecretHeaders)):
			p.add("headers", "%s must be given again or taken out, because the URLs go to another host, %s", quote(name), quote(host))
		case isSecretHeader(name, was.SecretHeaders) && !isSecretHeader(name, now.SecretHeaders):
			p.add("secret_headers", "must keep %s, or its value must be given again: it would be shown", quote(name))
		}
	}
	if host != "" && now.Secret != "" && now.Secret == was.Secret && (said.secret() == "" || said.secret() == SecretMask) {
		p.add("secret", "must be given again or taken out, because the URLs go to another host, %s", quote(host))
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

// newHost is a host and port that URLs go to and the ones before did not; "" if there is none.
func newHost(before, now []string) string {
	known := map[string]bool{}
	for _, u := range before {
		known[hostAndPort(u)] = true
	}
	for _, u := range now {
		if at := hostAndPort(u); at != "" && !known[at] {
			return at
		}
	}
	return ""
}

// hostAndPort is where a worker URL goes; "" if it cannot be read.
func hostAndPort(tagged string) string {
	_, raw := SplitURL(tagged)
	u, err := url.Parse(escapeURL(raw))
	if err != nil || u.Hostname() == "" {
		return ""
	}
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	return net.JoinHostPort(strings.ToLower(u.Hostname()), port)
}
