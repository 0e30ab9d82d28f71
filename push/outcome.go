package push

import (
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/solate/medispatcher"
)

// maxErrorText bounds what a failure record keeps of an answer, in bytes.
const maxErrorText = 512

// result is what one attempt came to.
type result struct {
	status     int           // of the response; 0: there was none
	answer     []byte        // its start
	accepted   bool          // the subscriber took the message
	retryAfter time.Duration // asked for by a 429 or 503
	err        error         // why there was no response
	cut        bool          // the attempt was ended by this process's shutdown
	target     string        // URL without userinfo; empty: none qualified
	took       time.Duration
}

// gone reports whether the subscriber does not want to be asked again.
func (r *result) gone() bool { return r.status == 410 }

// text says why an attempt failed.
func (r *result) text() string {
	if r.err != nil {
		return cutText(r.err.Error())
	}
	text := fmt.Sprintf("status %d", r.status)
	if answer := strings.TrimSpace(string(r.answer)); answer != "" {
		text += ": " + answer
	}
	return cutText(text)
}

// problem is text, or empty when the attempt did not fail.
func (r *result) problem() string {
	switch {
	case r.accepted:
		return ""
	case r.cut:
		return "cut at the shutdown deadline"
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
	return s + "…"
}

// exhausted reports whether no attempt comes after this one.
func exhausted(s *medispatcher.Subscription, attempt int) bool {
	return attempt > s.MaxRetries || s.Drop.Threshold > 0 && attempt >= s.Drop.Threshold
}

// settle decides what becomes of a delivery after an attempt. jitter is in [0, 1).
func settle(s *medispatcher.Subscription, d *medispatcher.Delivery, r *result, now time.Time, jitter float64) medispatcher.Settlement {
	out := medispatcher.Settlement{Channel: d.Channel, EntryID: d.EntryID, Attempt: d.Attempt, Took: r.took, Target: r.target}
	switch {
	case r.accepted:
		out.Outcome = medispatcher.Sent
		return out
	case r.target == "":
		out.Outcome = medispatcher.Dropped
		return out
	case r.cut:
		out.Outcome = medispatcher.Released
		return out
	}
	failure := medispatcher.Failure{FirstError: r.text(), FirstAt: now}
	if d.Failure != nil {
		failure = *d.Failure
	}
	failure.Attempts = d.Attempt
	failure.LastError, failure.LastAt, failure.Target = r.text(), now, r.target
	out.Failure = &failure
	if exhausted(s, d.Attempt) {
		out.Outcome = medispatcher.Exhausted
		if s.Drop.Action != medispatcher.DropKeep {
			out.Outcome = medispatcher.Dropped
		}
		return out
	}
	out.Outcome = medispatcher.Failed
	out.Delay = max(Backoff(d.Attempt, time.Duration(s.RetryCoefficient), jitter), r.retryAfter)
	return out
}
