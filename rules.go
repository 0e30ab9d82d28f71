package medispatcher

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"time"
)

// Rules are what the operator's configuration asks of every subscription.
type Rules struct {
	Defaults      Subscription                      // values of the fields that a document leaves out
	Max           Subscription                      // maxima of the fields with a maxenv tag, in those fields; 0: none
	SecretOverlap time.Duration                     // how long a replaced secret signs beside the new one
	Denied        func(netip.Addr) bool             // reports addresses that no push may go to; nil denies none
	ToASCII       func(host string) (string, error) // the punycode of a host name; nil: a host that needs it is refused
	CheckFilter   func(expression string) error     // says what is wrong with a filter, and where; nil takes all
	Filter        func(expression string) Filter    // makes a filter ready to be used; nil: the subscriptions are not used to route by
	Receiver      func(url string) error            // says what is wrong with a receiver of alerts, without its secrets; nil takes all
}

// Replace checks a document that replaces old, nil where there was none. It returns the form that is
// stored, and the subscription that it means. The error is Problems.
func (r *Rules) Replace(id string, old, raw []byte, now time.Time) ([]byte, Subscription, error) {
	d, err := parseGiven(raw)
	if err != nil {
		return nil, Subscription{}, err
	}
	return r.store(id, old, d, maps.Clone(d), now)
}

// Merge is Replace for a merge patch (RFC 7396) of the stored document old.
func (r *Rules) Merge(id string, old, raw []byte, now time.Time) ([]byte, Subscription, error) {
	patch, err := parseGiven(raw)
	if err != nil {
		return nil, Subscription{}, err
	}
	d, err := parseStored(old)
	if err != nil {
		return nil, Subscription{}, err
	}
	delete(d, fieldPreviousSecret)
	delete(d, fieldPreviousUntil)
	d.merge(patch)
	return r.store(id, old, d, patch, now)
}

// store checks a document. said is what the writer wrote, before it was merged and unmasked.
func (r *Rules) store(id string, old []byte, d, said document, now time.Time) ([]byte, Subscription, error) {
	if d["id"] == nil || string(d["id"]) == "null" {
		d.set("id", id)
	}
	var before document
	if old != nil {
		var err error
		if before, err = parseStored(old); err != nil {
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
	nulls := d.nulls("")
	var masked Problems
	was, _ := r.read(before) // the writer is not to blame for problems of the old document
	d.unmask("urls", "urls", was.URLs, maskURL, isMaskedURL, &masked)
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
	given := slices.Clone(s.URLs)
	c := checker{Rules: r, sub: s, problems: problems}
	c.check()
	c.problems = slices.DeleteFunc(c.problems, func(e FieldError) bool { // what is wrong with the empty text in place of a null says less
		return slices.ContainsFunc(nulls, func(null FieldError) bool { return null.Field == e.Field })
	})
	c.problems = append(c.problems, nulls...)
	if before != nil {
		c.problems = append(c.problems, givenAgain(was, s, said)...)
	}
	if err := c.problems.err(); err != nil {
		return nil, Subscription{}, err
	}
	if !slices.Equal(given, s.URLs) {
		d.set("urls", s.URLs)
	}
	switch {
	case kept != "" && kept != s.Secret && s.Secret != "":
		s.PreviousSecret, s.PreviousUntil = kept, now.Add(r.SecretOverlap)
		d.set(fieldPreviousSecret, kept)
		d.set(fieldPreviousUntil, s.PreviousUntil)
	case kept == s.Secret && before[fieldPreviousSecret] != nil:
		d[fieldPreviousSecret], d[fieldPreviousUntil] = before[fieldPreviousSecret], before[fieldPreviousUntil]
		r.readPrevious(s, d)
	}
	d.veil(s.Encoding)
	stored, err := json.Marshal(d)
	if err != nil {
		return nil, Subscription{}, err
	}
	return stored, *s, nil
}

// Load reads a stored document. A value over a maximum that was lowered meanwhile is cut to it and
// named in warnings, so that no configuration change loses a subscription. So is a field that a newer
// version stored: it is left out. The error is Problems: the stored document is unusable.
func (r *Rules) Load(id string, stored []byte) (s *Subscription, warnings []string, err error) {
	d, err := parseStored(stored)
	if err != nil {
		return nil, nil, err
	}
	d.set("id", id) // the field of the hash is the truth
	inner := document{}
	for name, raw := range d {
		if name != fieldPreviousSecret && name != fieldPreviousUntil {
			inner[name] = raw
		}
	}
	for _, name := range inner.forget("") {
		warnings = append(warnings, fieldName(name)+" is not a field that this version knows; it has no effect here")
	}
	s, problems := r.read(inner)
	r.readPrevious(s, d)
	c := checker{Rules: r, sub: s, stored: true, problems: problems, warnings: warnings}
	c.cut()
	c.check()
	return s, c.warnings, c.problems.err()
}

// cut lowers values that are over a maximum of the configuration.
func (c *checker) cut() {
	for _, f := range fields {
		n, _ := f.number(c.sub)
		if most, _ := f.number(&c.Max); most > 0 && n > most {
			c.warnings = append(c.warnings, fmt.Sprintf("%s %s is over the maximum; %s is used", f.Name, f.Show(n), f.Show(most)))
			f.setNumber(c.sub, most)
		}
	}
}

func (r *Rules) readPrevious(s *Subscription, d document) {
	_ = json.Unmarshal(d[fieldPreviousSecret], &s.PreviousSecret)
	_ = json.Unmarshal(d[fieldPreviousUntil], &s.PreviousUntil)
}
