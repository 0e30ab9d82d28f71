package medispatcher

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"regexp"
	"strconv"
	"strings"
)

// urlForm is a worker URL with the tag of an environment.
var urlForm = regexp.MustCompile(`^\[T_ENV:([A-Za-z0-9_.-]{1,64})\](.*)$`)

const (
	maxURL  = 8 << 10 // bytes
	maxHost = 253
)

// ParseURL reads a worker URL without its tag. The result can be sent, and its String is the form that
// is stored. In it, spaces and non-ASCII bytes of the path and the query are escaped, and toASCII has
// encoded a host that is not ASCII; with toASCII nil such a host is an error. Everything else, such as
// an escaped slash, stays byte for byte. Errors hold neither a password nor values of a query.
func ParseURL(raw string, toASCII func(host string) (string, error)) (*url.URL, error) {
	u, err := url.Parse(escapeURL(raw))
	switch {
	case len(raw) > maxURL:
		return nil, fmt.Errorf("is %d bytes long; the limit is %d", len(raw), maxURL)
	case raw == "":
		return nil, errors.New(`"" must begin with http:// or https://, also behind the tag of an environment`)
	case err != nil && strings.HasPrefix(raw, "[T_ENV:"):
		return nil, errors.New("has a tag that is not [T_ENV:NAME], with a name of 1 to 64 letters, digits and _ . - before the URL")
	case err != nil:
		return nil, fmt.Errorf("%s is not a URL; write http://host:port/path", quote(Redact(raw)))
	case u.Scheme != "http" && u.Scheme != "https":
		return nil, fmt.Errorf("%s must begin with http:// or https://", quote(maskQuery(u.Redacted())))
	case u.Hostname() == "":
		return nil, fmt.Errorf("%s has no host", quote(maskURL(raw)))
	case strings.Contains(raw, "#"):
		return nil, fmt.Errorf("%s has a fragment (#…), which is never sent; remove it, or write %%23", quote(maskQuery(u.Redacted())))
	}
	shown := quote(maskQuery(u.Redacted()))
	if u.Host, err = hostOf(u, toASCII); err != nil {
		return nil, fmt.Errorf("%s: %w", shown, err)
	}
	return u, nil
}

// escapeURL escapes what a request line cannot hold in the path and the query of a URL. url.Parse would
// do that for the path, but it also unescapes slashes.
func escapeURL(raw string) string {
	_, rest, ok := strings.Cut(raw, "://")
	at := strings.IndexAny(rest, "/?")
	if !ok || at < 0 {
		return raw
	}
	path, query, hasQuery := strings.Cut(rest[at:], "?")
	out := raw[:len(raw)-len(rest)+at] + escapeBytes(path, `"<>\^{|}`+"`")
	if hasQuery {
		out += "?" + escapeBytes(query, "")
	}
	return out
}

// escapeBytes escapes spaces, non-ASCII bytes and the bytes in also.
func escapeBytes(s, also string) string {
	var b strings.Builder
	for i := range len(s) {
		if c := s[i]; c == ' ' || c > '~' || strings.IndexByte(also, c) >= 0 {
			fmt.Fprintf(&b, "%%%02X", c)
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}

// hostOf is the host and port of a URL in the form that is sent.
func hostOf(u *url.URL, toASCII func(string) (string, error)) (string, error) {
	host, port := u.Hostname(), u.Port()
	if port != "" {
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
			return "", fmt.Errorf("there is no port %s", port)
		}
		port = ":" + port
	}
	if strings.HasPrefix(u.Host, "[") { // an IPv6 address, checked by url.Parse but for its zone
		if _, zone, _ := strings.Cut(host, "%"); strings.ContainsFunc(zone, func(r rune) bool { return !hostRune(r) && r != '.' }) {
			return "", fmt.Errorf("%s is not a zone of an IPv6 address", quote(zone))
		}
		return strings.TrimSuffix(u.Host, ":"), nil
	}
	if strings.ContainsFunc(host, func(r rune) bool { return r > '~' }) {
		if toASCII == nil {
			return "", errors.New("the host is not ASCII: write it in punycode (xn--…)")
		}
		ascii, err := toASCII(host)
		if err != nil {
			return "", fmt.Errorf("%s is not a host name: %w", quote(host), err)
		}
		host = ascii
	}
	return host + port, CheckHost(host)
}

// numbers are hosts that inet_aton, and so a proxy, may read as an IPv4 address: 2130706433, 0x7f.1, 0177.0.0.1, 127.0.0.1.
var numbers = regexp.MustCompile(`^((0[Xx][0-9A-Fa-f]*|[0-9]+)(\.|$))+$`)

// CheckHost says what is wrong with a name or an IPv4 address. Of an address there must be one form alone, because the guard
// judges no other.
func CheckHost(host string) error {
	if len(host) > maxHost {
		return fmt.Errorf("the host is %d bytes long; the limit is %d", len(host), maxHost)
	}
	for label := range strings.SplitSeq(strings.TrimSuffix(host, "."), ".") {
		if label == "" || len(label) > 63 {
			return fmt.Errorf("%s is not a host name: each part between dots has 1 to 63 characters", quote(host))
		}
		if i := strings.IndexFunc(label, func(r rune) bool { return !hostRune(r) }); i >= 0 {
			return fmt.Errorf("%s is not a host name: it holds %s", quote(host), quote(label[i:i+1]))
		}
	}
	if _, err := netip.ParseAddr(host); err != nil && numbers.MatchString(host) {
		return fmt.Errorf("%s is read as an address by some programs: write it as 127.0.0.1 is written", quote(host))
	}
	return nil
}

func hostRune(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '_'
}

// SplitURL splits the environment tag from a worker URL:
// "[T_ENV:PUB]http://h/" is ("PUB", "http://h/").
func SplitURL(tagged string) (env, rawURL string) {
	if m := urlForm.FindStringSubmatch(tagged); m != nil {
		return m[1], m[2]
	}
	return "", tagged
}

func tagURL(env, rawURL string) string {
	if env == "" {
		return rawURL
	}
	return "[T_ENV:" + env + "]" + rawURL
}
