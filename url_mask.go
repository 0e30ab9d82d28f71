package medispatcher

import (
	"crypto/sha256"
	"encoding/hex"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// Mask replaces secrets in URLs and headers that are shown.
const Mask = "********"

// maskURL hides the password of a worker URL, tagged or not, and the values in its query:
// http://user:********@h/?token=********. It works on the text, so the rest stays as it was written.
func maskURL(tagged string) string {
	if from, to := passwordSpan(tagged); from != to {
		tagged = tagged[:from] + Mask + tagged[to:]
	}
	return maskQuery(tagged)
}

// maskQuery hides the values in the query of a URL.
func maskQuery(rawURL string) string {
	base, query, has := strings.Cut(rawURL, "?")
	if !has || !strings.Contains(base, "://") {
		return rawURL
	}
	pairs := strings.Split(query, "&")
	for i, pair := range pairs {
		if name, value, _ := strings.Cut(pair, "="); value != "" {
			pairs[i] = name + "=" + Mask
		}
	}
	return base + "?" + strings.Join(pairs, "&")
}

// passwordSpan is where the password of a URL stands, empty where there is none.
func passwordSpan(rawURL string) (from, to int) {
	_, rest, ok := strings.Cut(rawURL, "://")
	if !ok {
		return 0, 0
	}
	start := len(rawURL) - len(rest)
	if end := strings.IndexAny(rest, "/?#"); end >= 0 {
		rest = rest[:end]
	}
	at := strings.LastIndex(rest, "@")
	colon := strings.Index(rest, ":")
	if colon < 0 || colon > at {
		return 0, 0
	}
	return start + colon + 1, start + at
}

func isMaskedURL(tagged string) bool {
	if from, to := passwordSpan(tagged); tagged[from:to] == Mask {
		return true
	}
	_, query, _ := strings.Cut(tagged, "?")
	return slices.ContainsFunc(strings.Split(query, "&"), func(pair string) bool {
		_, value, _ := strings.Cut(pair, "=")
		return value == Mask
	})
}

// MaskAlertURL hides a notification URL. Any part of one may be a token, the host too
// (slack://token@…, telegram://token@telegram), so only the scheme is shown, and the host
// where it is certain to be one: of http, https, smtp and smtps. Four hex digits of a hash of
// the whole tell two of them apart; more digits would help somebody to guess passwords. Examples:
// slack://********-3f2a, smtp://mail.example:587/********-90bc.
func MaskAlertURL(rawURL string) string {
	sum := sha256.Sum256([]byte(rawURL))
	mask := Mask + "-" + hex.EncodeToString(sum[:2])
	scheme, rest, ok := strings.Cut(rawURL, "://")
	switch {
	case isMaskedAlertURL(rawURL):
		return rawURL
	case !ok:
		return mask
	case !slices.Contains([]string{"http", "https", "smtp", "smtps"}, scheme):
		return scheme + "://" + mask
	}
	authority, tail := rest, ""
	if end := strings.IndexAny(rest, "/?#"); end >= 0 {
		authority, tail = rest[:end], rest[end:]
	}
	host := authority[strings.LastIndex(authority, "@")+1:]
	// An @ before the value of the first parameter means that what looks like a host is the start of a password
	// with a / or ? in it.
	if name, _, _ := strings.Cut(tail, "="); strings.Contains(name, "@") || !hostForm.MatchString(host) {
		return scheme + "://" + mask
	}
	return scheme + "://" + host + "/" + mask
}

var hostForm = regexp.MustCompile(`^(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9.-]+)(:[0-9]{1,5})?$`)

var maskedAlertForm = regexp.MustCompile(`^([a-z0-9+.-]+://([^/@]*/)?)?\*{8}-[0-9a-f]{4}$`)

func isMaskedAlertURL(rawURL string) bool { return maskedAlertForm.MatchString(rawURL) }

// maskAll returns a copy of list with every URL masked.
func maskAll(list []string, mask func(string) string) []string {
	masked := slices.Clone(list)
	for i, u := range masked {
		masked[i] = mask(u)
	}
	return masked
}

// Redact hides the password of a URL and the values in its query, and the whole of one that cannot be parsed.
func Redact(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return "(unreadable URL)"
	}
	return maskQuery(u.Redacted())
}
