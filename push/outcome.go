package push

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/push/http1"
)

// maxErrorText bounds what a failure record keeps of an answer, in bytes.
const maxErrorText = 512

// result is what one attempt came to.
type result struct {
	status     int                      // of the response; 0: there was none
	answer     []byte                   // its start; that of a 2xx is valid until the next request of the worker
	accepted   bool                     // the subscriber took the message
	retryAfter time.Duration            // asked for by a 429 or 503
	location   string                   // where a 3xx points, fit to be shown
	err        error                    // why there was no response or, with a status, why its body is not whole
	cut        bool                     // the attempt was ended by this process's shutdown
	short      bool                     // this machine lacked something for it: it says nothing about the subscriber
	panicked   *medispatcher.PanicError // medispatcher panicked; the attempt failed by that unless the subscriber had answered
	target     string                   // URL without userinfo; empty: none qualified
	to         *target                  // that URL; nil: none qualified
	secrets    *secrets                 // of its request; nil: none was made
	// No connection could be made, or one was. Neither: nobody knows.
	unconnected, connected bool
	proxy                  string // that is at fault, whoever the subscriber is; empty: none is
	took                   time.Duration
	ended                  time.Time
	outdated               bool   // other settings are in force since it began
	batch                  int    // messages in the batch; 0: the message went by itself
	says                   string // what a 2xx to a batch says of this message, or what is wrong with its answer
}

// gone reports whether the subscriber does not want to be asked again.
func (r *result) gone() bool { return r.status == 410 }

// text says why an attempt failed. Secrets that the worker repeats are masked.
func (r *result) text() string { return r.secrets.hide(r.said()) }

func (r *result) said() string {
	if r.status == 0 && r.err != nil {
		return cutText(r.err.Error())
	}
	text, answer := fmt.Sprintf("status %d", r.status), strings.TrimSpace(string(r.answer))
	if r.says != "" {
		text += ", but " + r.says
	}
	switch {
	case r.location != "":
		// The body usually repeats the location, secrets included.
		return cutText(text + ", and redirects are not followed; Location: " + r.location)
	case r.err != nil && answer != "":
		text += ", and its body broke off: " + r.err.Error() + "; it began: " + answer
	case r.err != nil:
		text += ", and its body broke off: " + r.err.Error()
	case r.says != "" && answer != "":
		text += "; it began: " + answer
	case answer != "":
		text += ": " + answer
	}
	return cutText(text)
}

// timeoutError says how far an attempt had come when its time was over. A status means that the
// header had arrived.
func timeoutError(limit medispatcher.Duration, status int, err error) error {
	if via, ok := errors.AsType[*http1.ProxyError](err); ok {
		if via.Own {
			return fmt.Errorf("timeout: no answer within %s (connecting to the proxy %s)", limit, via.Addr)
		}
		return fmt.Errorf("timeout: no answer within %s (waiting until the proxy %s has connected)", limit, via.Addr)
	}
	phase := http1.PhaseOf(err)
	if status != 0 {
		phase = http1.PhaseBody
	}
	at, known := phases[phase]
	if !known {
		return fmt.Errorf("timeout: no answer within %s", limit)
	}
	return fmt.Errorf("timeout: no answer within %s (%s)", limit, at)
}

var phases = map[http1.Phase]string{
	http1.PhaseConnect: "connecting",
	http1.PhaseTLS:     "in the TLS handshake",
	http1.PhaseRequest: "sending the request",
	http1.PhaseHeader:  "waiting for the header",
	http1.PhaseBody:    "reading the body",
}

// shownLocation is a Location header without what may be secret: the userinfo, the
// values of the query and the fragment.
func shownLocation(location string) string {
	u, err := url.Parse(location)
	switch {
	case location == "":
		return ""
	case err != nil:
		return "(not a URL)"
	case u.Opaque != "":
		return u.Scheme + ":" + medispatcher.Mask
	}
	u.User, u.Fragment, u.RawFragment = nil, "", ""
	if u.RawQuery != "" {
		fields := strings.Split(u.RawQuery, "&")
		for i, field := range fields {
			if name, _, ok := strings.Cut(field, "="); ok {
				fields[i] = name + "=" + medispatcher.Mask
			} else {
				fields[i] = medispatcher.Mask // a token without a name
			}
		}
		u.RawQuery = strings.Join(fields, "&")
	}
	return u.String()
}

// problem is text, or empty when the attempt did not fail.
func (r *result) problem() string {
	switch {
	case r.accepted:
		return ""
	case r.cut:
		return "cut at the shutdown deadline"
	case r.short:
		return "not counted: this machine is short of something: " + r.text()
	}
	return r.text()
}

func cutText(s string) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	if len(s) <= maxErrorText {
		return s
	}
	s = s[:maxErrorText]
	for !utf8.ValidString(s) {
		s = s[:len(s)-1]
	}
	return s + cutMark
}

// exhausted reports whether no attempt comes after this one.
func exhausted(s *medispatcher.Subscription, attempt int) bool {
	return attempt > s.MaxRetries || s.Drop.Threshold > 0 && attempt >= s.Drop.Threshold
}

// proxyDelay is when a message that the proxy is to blame for is tried again.
const proxyDelay = probeEvery

// outcomeOf decides what becomes of a delivery after an attempt. jitter is in [0, 1).
func outcomeOf(s *medispatcher.Subscription, d *medispatcher.Delivery, r *result, now time.Time, jitter float64) medispatcher.Settlement {
	out := medispatcher.Settlement{Channel: d.Channel, EntryID: d.EntryID, Attempt: d.Attempt, Took: r.took, Target: r.target, Status: r.status, Answer: r.shown(), Panicked: r.panicked != nil && errors.Is(r.err, r.panicked), By: s}
	switch {
	case r.accepted:
		out.Outcome = medispatcher.Sent
		return out
	case r.target == "" && r.err == nil:
		out.Outcome = medispatcher.Dropped
		return out
	case r.cut, r.short:
		out.Outcome = medispatcher.Released
		return out
	}
	failure := medispatcher.Failure{FirstError: r.text(), FirstAt: now}
	if d.Failure != nil {
		failure = *d.Failure
	}
	failure.Attempts = d.Attempt
	if r.proxy != "" { // it is the operator's own, as this machine is
		failure.Attempts--
		out.Outcome, out.Next, out.Delay = medispatcher.Failed, d.Attempt, time.Duration(float64(proxyDelay)*(1+jitterShare*jitter))
	}
	failure.LastError, failure.LastAt, failure.Target = r.text(), now, r.target
	if r.proxy == "" {
		failure.Batch = r.batch
	}
	out.Failure = &failure
	if out.Next > 0 {
		return out
	}
	if exhausted(s, d.Attempt) {
		out.Outcome = medispatcher.Exhausted
		if s.Drop.Action != medispatcher.DropKeep {
			out.Outcome = medispatcher.Dropped
		}
		return out
	}
	out.Outcome = medispatcher.Failed
	out.Delay = max(backoffOf(s, d.Attempt, jitter), r.retryAfter)
	return out
}

// spare makes a dead letter of a message that was to be dropped: the log line that would have been its last
// trace cannot be written.
func spare(out *medispatcher.Settlement, d *medispatcher.Delivery, why error, now time.Time) {
	f := medispatcher.Failure{Attempts: d.Attempt - 1, FirstError: noTarget, FirstAt: now}
	if d.Failure != nil {
		f = *d.Failure
	}
	if out.Failure != nil {
		f = *out.Failure
	} else {
		f.LastError, f.LastAt = noTarget, now
	}
	f.LastError += "; kept as a dead letter: it was to be dropped, but its log line cannot be written: " + cutText(why.Error())
	out.Outcome, out.Failure = medispatcher.Exhausted, &f
}

// noTarget is why a message without a target is dropped.
const noTarget = "no worker URL of the subscription is for this environment"
