package medispatcher

import (
	"encoding/base64"
	"fmt"
	"regexp"
	"slices"
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

// check adds every problem of the effective values. With stored set, what an earlier version let
// pass is a warning.
func (r Rules) check(s *Subscription, stored bool, p *Problems, warnings *[]string) {
	if err := CheckSubscriptionID(s.ID); err != nil {
		*p = append(*p, err.(FieldError)) //nolint:errorlint // made just there
	}
	if err := CheckPattern(s.Topic); err != nil {
		p.add("topic", "%v", err)
	}
	if len(s.URLs) == 0 || len(s.URLs) > maxURLs {
		p.add("urls", "holds %d URLs; give 1 to %d", len(s.URLs), maxURLs)
	}
	r.sendable(s, stored, p, warnings)
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
