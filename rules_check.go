package medispatcher

import (
	"fmt"
	"math"
	"net/netip"
	"net/url"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"time"
)

var idForm = func() *regexp.Regexp {
	id, _ := FieldNamed("id")
	return regexp.MustCompile(id.Pattern)
}()

// CheckSubscriptionID says what is wrong with a subscription's id.
func CheckSubscriptionID(id string) error {
	if !idForm.MatchString(id) {
		return FieldError{"id", quote(id) + " must start with a letter or digit and hold at most 64 of A-Z a-z 0-9 . _ -"}
	}
	return nil
}

// special are the checks of the fields that need more than bounds and choices.
var special = map[string]func(*checker){
	"id":         (*checker).id,
	"topic":      (*checker).topic,
	"urls":       (*checker).urls,
	"filter":     (*checker).filter,
	"secret":     (*checker).secret,
	"headers":    (*checker).headers,
	"batch.size": (*checker).batchSize,
	"batch.wait": (*checker).batchWait,
	"alert.urls": (*checker).receivers,

	"secret_headers": (*checker).secretHeaders,

	"retry_schedule": (*checker).waits,
}

// checker finds every problem of the effective values of a subscription. With stored set, what an
// earlier version let pass is a warning.
type checker struct {
	*Rules
	sub      *Subscription
	stored   bool
	problems Problems
	warnings []string
}

func (c *checker) check() {
	for _, f := range fields {
		c.bounds(f)
		if more := special[f.Name]; more != nil {
			more(c)
		}
	}
}

// Bounds are the least and the greatest value of a number, duration or size, number of entries of a list, or
// number of bytes of a text; math.MinInt64 and math.MaxInt64 where there is none.
func (r *Rules) Bounds(f Field) (low, high int64) {
	if most, ok := f.number(&r.Max); ok && most > 0 {
		return f.low, most
	}
	return f.low, f.high
}

// bounds checks what the tags of a field ask of its value.
func (c *checker) bounds(f Field) {
	low, high := c.Bounds(f)
	if n, ok := f.number(c.sub); ok {
		switch {
		case n >= low && n <= high:
		case high == math.MaxInt64:
			c.problems.add(f.Name, "%s is below %s", f.Show(n), f.Show(low))
		default:
			c.problems.add(f.Name, "%s is outside %s to %s", f.Show(n), f.Show(low), f.Show(high))
		}
		return
	}
	switch f.Kind { //nolint:exhaustive // the others have no bounds
	case KindText:
		if v, _ := f.Value(c.sub).(string); len(f.Choices) > 0 && !slices.Contains(f.Choices, v) {
			c.problems.add(f.Name, "%s is not one of %s", quote(v), strings.Join(f.Choices, ", "))
		}
	case KindList:
		if n := int64(reflect.ValueOf(f.Value(c.sub)).Len()); n < low || n > high {
			wanted := fmt.Sprintf("at most %d", high)
			if low > 0 {
				wanted = fmt.Sprintf("%d to %d", low, high)
			}
			c.problems.add(f.Name, "holds %d %s; give %s", n, strings.ToLower(f.Label[:1])+f.Label[1:], wanted)
		}
	}
}

func (c *checker) id() {
	if err := CheckSubscriptionID(c.sub.ID); err != nil {
		c.problems = append(c.problems, err.(FieldError)) //nolint:errorlint // made just there
	}
}

func (c *checker) topic() {
	if err := CheckPattern(c.sub.Topic); err != nil {
		c.problems.add("topic", "%v", err)
	}
}

// urls makes the URLs of a subscription what is sent. A new one that cannot be is a problem. One that
// an earlier version stored stays as it is, with a warning: its attempts fail, which is seen, whereas a
// subscription without a URL would have its messages dropped.
func (c *checker) urls() {
	for i, tagged := range c.sub.URLs {
		env, raw := SplitURL(tagged)
		u, err := ParseURL(raw, c.ToASCII)
		if err != nil && c.stored {
			if old, parseErr := url.Parse(raw); parseErr == nil && (old.Scheme == "http" || old.Scheme == "https") && old.Host != "" {
				c.warnings = append(c.warnings, fmt.Sprintf("%s cannot be sent: %v", indexed("urls", i), err))
				continue
			}
		}
		if err != nil {
			c.problems.add(indexed("urls", i), "%v", err)
			continue
		}
		// What is newly denied fails at connect time, and is seen there.
		if addr, err := netip.ParseAddr(u.Hostname()); !c.stored && err == nil && c.Denied != nil && c.Denied(addr) {
			c.problems.add(indexed("urls", i), "%s is a denied address (MEDIS_DENY_CIDRS and link-local addresses)", u.Host)
		}
		c.sub.URLs[i] = tagURL(env, u.String())
	}
}

// waits holds each wait of a schedule to the bounds of the coefficient, which is a wait, too.
func (c *checker) waits() {
	one, _ := FieldNamed("retry_coefficient")
	low, high := c.Bounds(one)
	for i, wait := range c.sub.RetrySchedule {
		if n := int64(wait); n < low || n > high {
			c.problems.add(indexed("retry_schedule", i), "%s is outside %s to %s", one.Show(n), one.Show(low), one.Show(high))
		}
	}
}

// filter makes the filter ready. One that was stored and cannot be used delivers everything, and is told when it does so.
func (c *checker) filter() {
	expression := c.sub.Filter
	if expression == "" {
		return
	}
	if !c.stored && c.CheckFilter != nil {
		if err := c.CheckFilter(expression); err != nil {
			c.problems.add("filter", "%v", err)
			return
		}
	}
	if c.Filter != nil {
		c.sub.Matcher = c.Filter(expression)
	}
}

func (c *checker) secret() {
	if c.sub.Secret == "" {
		return
	}
	if _, err := SecretKey(c.sub.Secret); err != nil {
		c.problems.add("secret", "%v", err)
	}
}

func (c *checker) headers() {
	if err := checkHeaders(c.sub.Headers); err != nil {
		c.problems.add("headers", "%v", err)
	}
	for _, name := range sortedKeys(c.sub.Headers) {
		if ReservedHeader(name) {
			c.problems.add("headers", "%s is set by the dispatcher or by HTTP itself; leave it out", quote(name))
		} else if _, kind := AttributeOf(name); kind != NoAttribute && c.sub.Encoding == EncodingCloudEvents {
			c.problems.add("headers", "%s is an attribute of each event with the encoding %s; leave it out", quote(name), EncodingCloudEvents)
		}
	}
}

func (c *checker) batchSize() {
	if c.sub.Batch.Size > 1 && c.sub.Encoding == EncodingForm {
		c.problems.add("batch.size", "%d needs the encoding %s or %s; %s has no batches", c.sub.Batch.Size, EncodingJSON, EncodingCloudEvents, c.sub.Encoding)
	}
}

func (c *checker) batchWait() {
	if !c.stored && c.sub.Batch.Size > 1 && c.sub.Batch.Wait > c.sub.Timeout { // the timeout may follow a default
		c.problems.add("batch.wait", "%s is longer than the timeout, %s", ShortDuration(time.Duration(c.sub.Batch.Wait)), ShortDuration(time.Duration(c.sub.Timeout)))
	}
}

func (c *checker) receivers() {
	if c.stored || c.Receiver == nil {
		return // one that is newly refused is seen when it is used
	}
	for i, u := range c.sub.Alert.URLs {
		if isMaskedAlertURL(u) {
			continue // it stands for no URL that is stored, which was said before
		}
		if err := c.Receiver(u); err != nil {
			c.problems.add(indexed("alert.urls", i), "%v", err)
		}
	}
}

// indexed names an entry of a list.
func indexed(field string, i int) string { return fmt.Sprintf("%s[%d]", field, i) }

// secretHeaders checks that each can be the name of a header.
func (c *checker) secretHeaders() {
	for i, name := range c.sub.SecretHeaders {
		if !validHeaderName(name) {
			c.problems.add(indexed("secret_headers", i), "%s is not an HTTP header name", quote(name))
		}
	}
}
