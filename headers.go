package medispatcher

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/textproto"
	"regexp"
	"slices"
	"strings"
)

const (
	// maxHeaders bounds the names and values of the headers of a message or subscription together, in bytes.
	maxHeaders = 16 << 10
	// maxHeadersJSON bounds them as JSON. There, a byte may take six bytes, and each header six more;
	// headers within maxHeaders always fit.
	maxHeadersJSON = 8 * maxHeaders
)

func decodeHeaders(s string) (map[string]string, error) {
	if s == "" {
		return nil, nil
	}
	if len(s) > maxHeadersJSON {
		return nil, fmt.Errorf("is %d bytes long; the limit is %d", len(s), maxHeadersJSON)
	}
	var h map[string]string
	if err := json.Unmarshal([]byte(s), &h); err != nil {
		return nil, fmt.Errorf(`is not a JSON object of strings such as {"traceparent":"00-…"}: %s`, JSONProblem(err))
	}
	return h, checkHeaders(h)
}

func checkHeaders(h map[string]string) error {
	total := 0
	seen := make(map[string]string, len(h))
	for name, value := range h {
		canonical := textproto.CanonicalMIMEHeaderKey(name)
		if other, twice := seen[canonical]; twice {
			return fmt.Errorf("%s and %s are the same header; give it once", quote(min(name, other)), quote(max(name, other)))
		}
		seen[canonical] = name
		if !validHeaderName(name) {
			return fmt.Errorf("%s is not an HTTP header name", quote(name))
		}
		if !validHeaderValue(value) {
			return fmt.Errorf("the value of %q has a control character or a line break", name)
		}
		total += len(name) + len(value)
	}
	if total > maxHeaders {
		return fmt.Errorf("hold %d bytes; the limit is %d", total, maxHeaders)
	}
	return nil
}

func validHeaderName(name string) bool {
	for i := range len(name) {
		if c := name[i]; !isAlnum(c) && !strings.ContainsRune("!#$%&'*+-.^_`|~", rune(c)) {
			return false
		}
	}
	return name != ""
}

func validHeaderValue(value string) bool {
	for i := range len(value) {
		if c := value[i]; c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return true
}

// ReservedHeader reports whether a header belongs to the dispatcher or to HTTP
// itself, so that a message or a subscription cannot set it. To a CGI or WSGI worker _ and - are the same.
func ReservedHeader(name string) bool {
	name = textproto.CanonicalMIMEHeaderKey(strings.ReplaceAll(name, "_", "-"))
	switch name {
	case "Host", "Connection", "Keep-Alive", "Proxy-Authenticate", "Proxy-Authorization", "Proxy-Connection",
		"Te", "Trailer", "Transfer-Encoding", "Upgrade", "Expect":
		return true
	}
	for _, prefix := range []string{"Webhook-", "Medis-", "Content-"} {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return false
}

// credential matches the names of headers whose values only their receiver may see.
var credential = regexp.MustCompile(`(?i)auth|token|secret|key|pass|cookie|credential|session|signature`)

// isSecretHeader reports whether only the receiver of a header may see its value: by its name, or by choice.
func isSecretHeader(name string, chosen []string) bool {
	return credential.MatchString(name) || slices.ContainsFunc(chosen, func(other string) bool { return strings.EqualFold(other, name) })
}

// MaskHeaders hides the values of headers that carry credentials by their names.
func MaskHeaders(headers map[string]string) map[string]string { return maskHeaders(headers, nil) }

// maskHeaders hides the values of headers that carry credentials.
func maskHeaders(headers map[string]string, chosen []string) map[string]string {
	masked := maps.Clone(headers)
	for name, value := range masked {
		if value != "" && isSecretHeader(name, chosen) {
			masked[name] = Mask
		}
	}
	return masked
}
