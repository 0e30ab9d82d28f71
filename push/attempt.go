package push

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/push/http1"
)

const (
	// maxAnswer is how much of an answer is read that decides as a whole, in bytes.
	maxAnswer = 64 << 10
	// keptAnswer is how much of an answer a failure record may keep.
	keptAnswer = 1 << 10
	// warnEvery spaces the warnings about ignored headers of one subscription's messages.
	warnEvery = time.Minute
)

// poster makes HTTP attempts.
type poster struct {
	agent  string // User-Agent
	log    *slog.Logger
	tracer Tracer // nil: none

	mu     sync.Mutex
	warned map[string]time.Time // subscription → last warning
}

// attempt makes one HTTP attempt. That of a probe is on a new connection: an idle one may be dead, which would hide that the
// worker is back. It ends at the subscription's timeout, or when the context of
// the sender does.
func (p *poster) attempt(snd *http1.Sender, s *settings, d *medispatcher.Delivery, leave *permit) (r result) {
	start := time.Now()
	t := leave.pick(s, start)
	if t == nil {
		return r
	}
	r.target, r.to, r.secrets = t.redacted, t, s.ways().secrets
	req := requests.Get().(*request)
	ended := false
	defer func() {
		if v := recover(); v != nil {
			r.survive(medispatcher.Recovered(v), ended)
		}
		req.release()
		r.finish(s, t, start, ended)
	}()
	h, ignored := forwarded(s, d)
	if len(ignored) > 0 {
		p.warnHeaders(d, ignored)
	}
	if p.tracer != nil {
		if h == nil {
			h = http.Header{}
		}
		end := p.tracer.Attempt(d, t.redacted, h)
		s.override(h)
		defer func() {
			if !ended && !r.accepted {
				r.err = errPanicked
			}
			end(r.status, r.problem())
		}()
	}
	err := req.build(s, d, t, h, p.agent, start)
	if err == nil {
		defer func() {
			if !ended { // it panicked
				r.status = snd.Status()
				r.accepted = accepts(s, r.status)
			}
		}()
		var a http1.Answer
		req.Fresh, req.Made = leave.probe, leave.made
		a, err = snd.Post(&req.Request, start.Add(time.Duration(s.sub.Timeout)))
		r.judge(s, &a, err)
	}
	r.broke(s, err)
	ended = true
	return r
}

// broke notes why an attempt got no answer, or not all of it; nil: it did.
func (r *result) broke(s *settings, err error) {
	phase := http1.PhaseOf(err)
	r.unconnected = phase == http1.PhaseConnect || phase == http1.PhaseTLS
	r.connected = r.status != 0 || phase != "" && !r.unconnected
	if via, ok := errors.AsType[*http1.ProxyError](err); ok && via.Own {
		r.proxy = via.Addr
	}
	switch {
	case err == nil:
	case errors.Is(err, context.Canceled):
		r.cut = true
	case errors.Is(err, context.DeadlineExceeded):
		r.err = timeoutError(s.sub.Timeout, r.status, err)
	default:
		r.err = err
		r.short = r.status == 0 && http1.IsShortage(err)
	}
}

// finish notes when an attempt at a URL was over, and tells the others how it went. ended: it did not panic.
func (r *result) finish(s *settings, t *target, start time.Time, ended bool) {
	r.ended = time.Now()
	r.took = r.ended.Sub(start)
	if ended && !r.cut && !r.short && r.proxy == "" {
		s.ways().targets.report(t, r.accepted, r.ended)
	}
}

// accepts reports whether a status alone means that the subscriber took the message.
func accepts(s *settings, status int) bool {
	return s.sub.Encoding != medispatcher.EncodingForm && status >= 200 && status <= 299
}

// judge notes what the subscriber says. err tells that an answer that is needed is incomplete.
func (r *result) judge(s *settings, a *http1.Answer, err error) {
	r.status = a.Status
	if r.accepted = accepts(s, a.Status); r.accepted {
		r.answer = a.Start
		return
	}
	r.answer = a.Body[:min(len(a.Body), keptAnswer)]
	if s.sub.Encoding == medispatcher.EncodingForm && err == nil && formAccepted(a.Status, a.Body) {
		r.accepted = true
		return
	}
	r.refused(a)
}

// refused notes the answer of a subscriber that did not take what it got.
func (r *result) refused(a *http1.Answer) {
	r.answer = bytes.Clone(a.Body[:min(len(a.Body), keptAnswer)])
	switch {
	case r.status == http.StatusTooManyRequests || r.status == http.StatusServiceUnavailable:
		r.retryAfter = retryAfter(a.RetryAfter, time.Now())
	case r.status >= 300 && r.status <= 399:
		r.location = shownLocation(a.Location)
	}
}

// errPanicked is what the span of an attempt that panicked says.
var errPanicked = errors.New("medispatcher panicked")

func (p *poster) warnHeaders(d *medispatcher.Delivery, ignored []string) {
	if !p.mayWarn(d.Subscription) {
		return
	}
	p.log.Warn("headers of a message are ignored: the dispatcher or HTTP itself sets them",
		"topic", d.Message.Topic, "subscription", d.Subscription, "id", d.Message.ID, "headers", ignored)
}

// mayWarn reports whether it is time for another warning about a subscription, and notes it.
func (p *poster) mayWarn(sub string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if time.Since(p.warned[sub]) < warnEvery {
		return false
	}
	if p.warned == nil || len(p.warned) > 10_000 {
		p.warned = map[string]time.Time{}
	}
	p.warned[sub] = time.Now()
	return true
}
