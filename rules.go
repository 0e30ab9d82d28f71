package medispatcher

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	maxURLs       = 64
	maxReceivers  = 16 // URLs; one may name several people
	maxRetries    = 10_000
	maxInterval   = Duration(time.Hour)
	maxCoeff      = Duration(24 * time.Hour)
	minSecretSize = 24 // bytes, by Standard Webhooks
	maxSecretSize = 64
)

var (
	idForm  = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)
	urlForm = regexp.MustCompile(`^\[T_ENV:([A-Za-z0-9_.-]{1,64})\](.*)$`)
)

// CheckSubscriptionID says what is wrong with a subscription's id.
func CheckSubscriptionID(id string) error {
	if !idForm.MatchString(id) {
		return FieldError{"id", quote(id) + " must start with a letter or digit and hold at most 64 of A-Z a-z 0-9 . _ -"}
	}
	return nil
}

// Rules are what the operator's configuration asks of every subscription.
type Rules struct {
	Defaults            Subscription // values of the fields that a document leaves out
	MaxConcurrency      int
	MaxRetryConcurrency int
	MaxTimeout          time.Duration
	SecretOverlap       time.Duration          // how long a replaced secret signs beside the new one
	Denied              func(netip.Addr) bool  // addresses no push may go to; nil denies none
	Receiver            func(url string) error // what is wrong with a receiver of alerts, its secrets left out; nil: nothing
}

// Replace makes the stored form of a document that somebody put in place of old
// (nil where there was none), and the subscription it means.
// The error is Problems.
func (r Rules) Replace(id string, old, raw []byte, now time.Time) ([]byte, Subscription, error) {
	d, err := parseDocument(raw)
	if err != nil {
		return nil, Subscription{}, err
	}
	return r.store(id, old, d, now)
}

// Merge is Replace for a merge patch (RFC 7396) of the stored document old.
func (r Rules) Merge(id string, old, raw []byte, now time.Time) ([]byte, Subscription, error) {
	patch, err := parseDocument(raw)
	if err != nil {
		return nil, Subscription{}, err
	}
	d, err := parseDocument(old)
	if err != nil {
		return nil, Subscription{}, err
	}
	delete(d, fieldPreviousSecret)
	delete(d, fieldPreviousUntil)
	d.merge(patch)
	return r.store(id, old, d, now)
}

func (r Rules) store(id string, old []byte, d document, now time.Time) ([]byte, Subscription, error) {
	if d["id"] == nil || string(d["id"]) == "null" {
		d.set("id", id)
	}
	var before document
	if old != nil {
		var err error
		if before, err = parseDocument(old); err != nil {
			before = nil // an unreadable document is replaced as a whole
		}
	}
	kept := before.secret()
	if d.secret() == SecretMask {
		if kept == "" {
			return nil, Subscription{}, Problems{{"secret", "is the mask that stands for a secret, and there is none to keep; give whsec_ and 24 to 64 bytes in base64"}}
		}
		d.set("secret", kept)
	}
	var masked Problems
	was, _ := r.read(before) // what is wrong in there is not the writer's mistake
	d.unmask("urls", "urls", was.URLs, MaskURL, isMaskedURL, &masked)
	d.unmaskHeaders(was.Headers, &masked)
	var alert document
	if json.Unmarshal(d["alert"], &alert) == nil && alert != nil {
		alert.unmask("urls", "alert.urls", was.Alert.URLs, MaskAlertURL, isMaskedAlertURL, &masked)
		d.set("alert", alert)
	}
	s, problems := r.read(d)
	problems = append(problems, masked...)
	if s.ID != id {
		problems.add("id", "%s is not the id in the path, %q; leave it out or make them equal", quote(s.ID), id)
	}
	r.check(&s, &problems)
	if err := problems.err(); err != nil {
		return nil, Subscription{}, err
	}
	switch {
	case kept != "" && kept != s.Secret && s.Secret != "":
		s.PreviousSecret, s.PreviousUntil = kept, now.Add(r.SecretOverlap)
		d.set(fieldPreviousSecret, kept)
		d.set(fieldPreviousUntil, s.PreviousUntil)
	case kept == s.Secret && before[fieldPreviousSecret] != nil:
		d[fieldPreviousSecret], d[fieldPreviousUntil] = before[fieldPreviousSecret], before[fieldPreviousUntil]
		r.readPrevious(&s, d)
	}
	stored, err := json.Marshal(d)
	if err != nil {
		return nil, Subscription{}, err
	}
	return stored, s, nil
}

// Load reads a stored document. Values over a maximum that was lowered since are
// cut to it and named in warnings: a subscription that exists is never lost to a
// configuration change. The error is Problems: nothing usable is stored.
func (r Rules) Load(id string, stored []byte) (s Subscription, warnings []string, err error) {
	d, err := parseDocument(stored)
	if err != nil {
		return s, nil, err
	}
	d.set("id", id) // the hash field is the truth
	inner := document{}
	for name, raw := range d {
		if name != fieldPreviousSecret && name != fieldPreviousUntil {
			inner[name] = raw
		}
	}
	s, problems := r.read(inner)
	r.readPrevious(&s, d)
	clamp(&s.Concurrency, r.MaxConcurrency, "concurrency", &warnings)
	clamp(&s.RetryConcurrency, r.MaxRetryConcurrency, "retry_concurrency", &warnings)
	clamp(&s.Timeout, Duration(r.MaxTimeout), "timeout", &warnings)
	// What is newly denied fails at connect time, and is seen there.
	r.Denied, r.Receiver = nil, nil
	r.check(&s, &problems)
	return s, warnings, problems.err()
}

func clamp[T int | Duration](v *T, limit T, name string, warnings *[]string) {
	if *v > limit {
		*warnings = append(*warnings, fmt.Sprintf("%s %v is over the maximum; %v is used", name, *v, limit))
		*v = limit
	}
}

func (r Rules) readPrevious(s *Subscription, d document) {
	_ = json.Unmarshal(d[fieldPreviousSecret], &s.PreviousSecret)
	_ = json.Unmarshal(d[fieldPreviousUntil], &s.PreviousUntil)
}

// read lays a document over the defaults.
func (r Rules) read(d document) (Subscription, Problems) {
	s := r.Defaults
	s.URLs, s.Headers = []string{}, map[string]string{}
	s.Alert.URLs = slices.Clone(s.Alert.URLs)
	var p Problems
	readFields("", d, s.fields(), &p)
	return s, p
}

func readFields(prefix string, d document, into map[string]any, p *Problems) {
	for _, name := range sortedKeys(d) {
		raw, full := d[name], prefix+name
		target, known := into[name]
		switch nested, isNested := target.(map[string]any); {
		case !known:
			p.add(prefix+fieldName(name), "is not a field of a subscription; the fields are %s", strings.Join(sortedKeys(into), ", "))
		case string(raw) == "null": // the default
		case isNested:
			var inner document
			if err := json.Unmarshal(raw, &inner); err != nil {
				p.add(full, "must be a JSON object")
				continue
			}
			readFields(full+".", inner, nested, p)
		default:
			if err := json.Unmarshal(raw, target); err != nil {
				p.add(full, "%s", wantedType(target, raw, err))
			}
		}
	}
}

func wantedType(target any, raw []byte, err error) string {
	want := ""
	switch target.(type) {
	case *string:
		want = "a string"
	case *bool:
		want = "true or false"
	case *int:
		want = "a whole number"
	case *[]string:
		want = "a list of strings"
	case *map[string]string:
		want = "an object of strings"
	case *Duration:
		if raw[0] == '"' {
			return err.Error()
		}
		want = `a duration in quotes such as "500ms" or "1m30s"`
	}
	return fmt.Sprintf("%s is not %s", cut(raw), want)
}

// cut shows JSON on one line, cut short. It is valid, so the only control characters
// in it are those between its tokens.
func cut(raw []byte) string {
	shown := raw
	if len(raw) > 80 {
		shown = append(bytes.ToValidUTF8(raw[:80:80], nil), "…"...)
	}
	return strings.Map(func(r rune) rune {
		if r < ' ' {
			return ' '
		}
		return r
	}, string(shown))
}

// fieldName shows the name of a field that somebody made up.
func fieldName(name string) string {
	if name == "" || len(name) > 80 || strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return quote(name)
	}
	return name
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// check adds every problem of the effective values.
func (r Rules) check(s *Subscription, p *Problems) {
	if err := CheckSubscriptionID(s.ID); err != nil {
		*p = append(*p, err.(FieldError)) //nolint:errorlint // made just there
	}
	if err := CheckPattern(s.Topic); err != nil {
		p.add("topic", "%v", err)
	}
	if len(s.URLs) == 0 || len(s.URLs) > maxURLs {
		p.add("urls", "holds %d URLs; give 1 to %d", len(s.URLs), maxURLs)
	}
	for i, u := range s.URLs {
		if err := r.checkURL(u); err != nil {
			p.add(indexed("urls", i), "%v", err)
		}
	}
	between(p, "concurrency", s.Concurrency, 1, r.MaxConcurrency)
	between(p, "retry_concurrency", s.RetryConcurrency, 1, r.MaxRetryConcurrency)
	between(p, "interval", s.Interval, 0, maxInterval)
	between(p, "timeout", s.Timeout, Duration(time.Millisecond), Duration(r.MaxTimeout))
	between(p, "max_retries", s.MaxRetries, 0, maxRetries)
	between(p, "retry_coefficient", s.RetryCoefficient, 0, maxCoeff)
	oneOf(p, "encoding", s.Encoding, EncodingJSON, EncodingForm)
	if _, err := SecretKey(s.Secret); s.Secret != "" && err != nil {
		p.add("secret", "%v", err)
	}
	r.checkHeaders(s.Headers, p)
	between(p, "drop.threshold", s.Drop.Threshold, 0, maxRetries)
	oneOf(p, "drop.action", s.Drop.Action, DropKeep, DropLog, DropNow)
	r.checkReceivers(s.Alert.URLs, p)
	between(p, "alert.window", s.Alert.Window, Duration(time.Second), Duration(24*time.Hour))
	between(p, "alert.every", s.Alert.Every, Duration(time.Second), Duration(7*24*time.Hour))
	for _, f := range []struct {
		name string
		v    int
	}{{"failures", s.Alert.Failures}, {"message_failures", s.Alert.MessageFailures}, {"backlog", s.Alert.Backlog}} {
		if f.v < 0 {
			p.add("alert."+f.name, "%d is below 0; 0 switches the rule off", f.v)
		}
	}
}

func (r Rules) checkReceivers(urls []string, p *Problems) {
	if len(urls) > maxReceivers {
		p.add("alert.urls", "holds %d URLs; give at most %d", len(urls), maxReceivers)
	}
	if r.Receiver == nil {
		return
	}
	for i, u := range urls {
		if isMaskedAlertURL(u) {
			continue // what it stands for was looked for, and said not to be there
		}
		if err := r.Receiver(u); err != nil {
			p.add(indexed("alert.urls", i), "%v", err)
		}
	}
}

func (r Rules) checkHeaders(headers map[string]string, p *Problems) {
	if err := checkHeaders(headers); err != nil {
		p.add("headers", "%v", err)
	}
	for _, name := range sortedKeys(headers) {
		if ReservedHeader(name) {
			p.add("headers", "%s is set by the dispatcher or by HTTP itself; leave it out", quote(name))
		}
	}
}

// indexed names an element of a list.
func indexed(field string, i int) string { return fmt.Sprintf("%s[%d]", field, i) }

func between[T int | Duration](p *Problems, name string, v, low, high T) {
	if v < low || v > high {
		p.add(name, "%v is outside %v to %v", v, low, high)
	}
}

func oneOf(p *Problems, name, v string, allowed ...string) {
	if !slices.Contains(allowed, v) {
		p.add(name, "%s is not one of %s", quote(v), strings.Join(allowed, ", "))
	}
}

func (r Rules) checkURL(tagged string) error {
	_, raw := SplitURL(tagged)
	u, err := url.Parse(raw)
	switch {
	case err != nil:
		return fmt.Errorf("%s is not a URL; write http://host:port/path", quote(Redact(raw)))
	case u.Scheme != "http" && u.Scheme != "https":
		return fmt.Errorf("%s must begin with http:// or https://", quote(u.Redacted()))
	case u.Hostname() == "":
		return fmt.Errorf("%s has no host", quote(u.Redacted()))
	case u.Fragment != "":
		return fmt.Errorf("%s has a fragment (#…), which is never sent; remove it", quote(u.Redacted()))
	}
	if port := u.Port(); port != "" {
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
			return fmt.Errorf("%s: there is no port %s", quote(u.Redacted()), port)
		}
	}
	if addr, err := netip.ParseAddr(u.Hostname()); err == nil && r.Denied != nil && r.Denied(addr) {
		return fmt.Errorf("%s is a denied address (MEDIS_DENY_CIDRS and link-local addresses)", u.Host)
	}
	return nil
}

// SplitURL takes the environment tag off a worker URL:
// "[T_ENV:PUB]http://h/" is ("PUB", "http://h/").
func SplitURL(tagged string) (env, rawURL string) {
	if m := urlForm.FindStringSubmatch(tagged); m != nil {
		return m[1], m[2]
	}
	return "", tagged
}

// Redact hides the password of a URL, and all of what does not parse.
func Redact(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return "(unreadable URL)"
	}
	return u.Redacted()
}

// SecretKey is the signing key of a secret "whsec_<base64>" of 24 to 64 bytes.
func SecretKey(secret string) ([]byte, error) {
	encoded, ok := strings.CutPrefix(secret, "whsec_")
	if !ok {
		return nil, fmt.Errorf("must begin with whsec_ and go on with %d to %d bytes in base64", minSecretSize, maxSecretSize)
	}
	key, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		key, err = base64.RawStdEncoding.DecodeString(encoded)
	}
	if err != nil {
		return nil, fmt.Errorf("has no base64 behind whsec_; make one with: echo whsec_$(openssl rand -base64 32)")
	}
	if len(key) < minSecretSize || len(key) > maxSecretSize {
		return nil, fmt.Errorf("holds %d bytes behind whsec_; give %d to %d", len(key), minSecretSize, maxSecretSize)
	}
	return key, nil
}
