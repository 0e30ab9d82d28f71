package medispatcher

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// Mask stands for what is secret in a URL that is shown.
const Mask = "********"

// MaskURL hides the password of a worker URL, tagged or not, and nothing else:
// http://user:********@h/. It works on the text, so the rest stays as it was written.
func MaskURL(tagged string) string {
	from, to := passwordSpan(tagged)
	if from == to {
		return tagged
	}
	return tagged[:from] + Mask + tagged[to:]
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
	from, to := passwordSpan(tagged)
	return tagged[from:to] == Mask
}

// MaskAlertURL hides a notification URL. Any part of one may be a token, the host too
// (slack://token@…, telegram://token@telegram), so only the scheme is shown, and the host
// where it is certain to be one: of http, https, smtp and smtps. Four hex digits of a hash of
// the whole tell two of them apart; more would help to try out passwords.
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
	// Where an @ follows before the first parameter's value, what looks like a host is the start of a password
	// with a / or ? in it.
	if name, _, _ := strings.Cut(tail, "="); strings.Contains(name, "@") || !hostForm.MatchString(host) {
		return scheme + "://" + mask
	}
	return scheme + "://" + host + "/" + mask
}

var hostForm = regexp.MustCompile(`^(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9.-]+)(:[0-9]{1,5})?$`)

var maskedAlertForm = regexp.MustCompile(`^([a-z0-9+.-]+://([^/@]*/)?)?\*{8}-[0-9a-f]{4}$`)

func isMaskedAlertURL(rawURL string) bool { return maskedAlertForm.MatchString(rawURL) }

// credential is a name of a header whose value nobody but its receiver may see.
var credential = regexp.MustCompile(`(?i)auth|token|secret|key|pass|cookie|credential|session|signature`)

// maskHeaders hides the values of headers that carry credentials, by their names.
func maskHeaders(headers map[string]string) map[string]string {
	masked := maps.Clone(headers)
	for name, value := range masked {
		if value != "" && credential.MatchString(name) {
			masked[name] = Mask
		}
	}
	return masked
}

// unmaskHeaders puts stored values in the place of masked ones.
func (d document) unmaskHeaders(stored map[string]string, p *Problems) {
	var given map[string]string
	if json.Unmarshal(d["headers"], &given) != nil || !slices.Contains(slices.Collect(maps.Values(given)), Mask) {
		return // anything but an object of strings is refused when the fields are read
	}
	for _, name := range sortedKeys(given) {
		if given[name] != Mask {
			continue
		}
		kept, known := "", false
		for other, value := range stored {
			if strings.EqualFold(other, name) {
				kept, known = value, true
			}
		}
		if !known {
			p.add("headers", "%s is masked, and there is no value of it to keep; write it whole", quote(name))
		}
		given[name] = kept
	}
	d.set("headers", given)
}

// maskAll is list with every URL masked; list itself stays.
func maskAll(list []string, mask func(string) string) []string {
	masked := slices.Clone(list)
	for i, u := range masked {
		masked[i] = mask(u)
	}
	return masked
}

// unmask puts stored URLs in the place of masked ones in the list d[name], wherever in it
// they stand. What stands for none, or for one of several, is a problem of the field.
func (d document) unmask(name, field string, stored []string, mask func(string) string, isMasked func(string) bool, p *Problems) {
	var given []string
	if json.Unmarshal(d[name], &given) != nil || !slices.ContainsFunc(given, isMasked) {
		return // anything but a list of strings is refused when the fields are read
	}
	same, times := map[string][]string{}, map[string]int{}
	for _, u := range stored {
		same[mask(u)] = append(same[mask(u)], u)
	}
	for _, u := range given {
		times[u]++
	}
	taken := map[string]int{}
	for i, u := range given {
		if !isMasked(u) {
			continue
		}
		switch kept := same[u]; {
		case len(kept) == 0:
			p.add(indexed(field, i), "%s is masked, and stands for no URL that is stored; write it whole", quote(u))
		case len(kept) != times[u] && len(slices.Compact(slices.Clone(kept))) > 1:
			p.add(indexed(field, i), "%s stands for %d stored URLs that differ only in what is masked; write it whole", quote(u), len(kept))
		default: // as many as are stored: in their order
			given[i] = kept[taken[u]%len(kept)]
			taken[u]++
		}
	}
	d.set(name, given)
}
