package push

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/push/http1"
)

const (
	// maxAnswer is how much of a response is read, in bytes.
	maxAnswer = 64 << 10
	// keptAnswer is how much of it a failure record may keep.
	keptAnswer = 1 << 10
	// answerGrace is how long to wait for the rest of an answer that nobody needs.
	answerGrace = 20 * time.Millisecond
	// warnEvery spaces the warnings about ignored headers of one subscription's messages.
	warnEvery = time.Minute
)

// poster makes HTTP attempts.
type poster struct {
	transport http.RoundTripper
	agent     string // User-Agent
	log       *slog.Logger
	tracer    Tracer // nil: none

	mu     sync.Mutex
	warned map[string]time.Time // subscription → last warning
}

// attempt makes one HTTP attempt. It ends at the subscription's timeout, or when ctx does.
func (p *poster) attempt(ctx context.Context, s *settings, d *medispatcher.Delivery) (r result) {
	start := time.Now()
	t := s.targets.pick(start)
	if t == nil {
		return r
	}
	r.target = t.redacted
	var resp *http.Response
	ended := false
	defer func() {
		if v := recover(); v != nil {
			if resp != nil {
				_ = resp.Body.Close()
			}
			r.survive(medispatcher.Recovered(v), ended)
		}
		r.took = time.Since(start)
		if ended && !r.cut && !r.short {
			s.targets.report(t, r.accepted, time.Now())
		}
	}()
	attemptCtx, cancel := p.within(ctx, start.Add(time.Duration(s.sub.Timeout)))
	defer cancel()
	req, ignored := requestFor(attemptCtx, s, d, t.url, p.agent, start)
	if len(ignored) > 0 {
		p.warnHeaders(d, ignored)
	}
	if p.tracer != nil {
		end := p.tracer.Attempt(d, t.redacted, req.Header)
		defer func() {
			if !ended && !r.accepted {
				r.err = errPanicked
			}
			end(r.status, r.problem())
		}()
	}
	var err error
	resp, err = p.transport.RoundTrip(req)
	if err == nil {
		err = p.judge(&r, s, resp)
	}
	switch {
	case err == nil:
	case ctx.Err() != nil:
		r.cut = true
	case errors.Is(err, context.DeadlineExceeded):
		r.err = timeoutError(s.sub.Timeout, r.status, err)
	default:
		r.err = err
		r.short = r.status == 0 && http1.IsShortage(err)
	}
	ended = true
	return r
}

// judge finds out what the subscriber says. It returns an error if the answer
// is needed and incomplete.
func (p *poster) judge(r *result, s *settings, resp *http.Response) (err error) {
	r.status = resp.StatusCode
	form := s.sub.Encoding == medispatcher.EncodingForm
	if !form && r.status >= 200 && r.status <= 299 {
		r.accepted = true
		p.discard(resp.Body)
		return nil
	}
	r.answer, err = readAnswer(resp.Body, form)
	_ = resp.Body.Close()
	r.accepted = form && err == nil && formAccepted(r.status, r.answer)
	switch {
	case r.status == http.StatusTooManyRequests || r.status == http.StatusServiceUnavailable:
		r.retryAfter = retryAfter(resp.Header.Get("Retry-After"), time.Now())
	case r.status >= 300 && r.status <= 399:
		r.location = shownLocation(resp.Header.Get("Location"))
	}
	return err
}

// discard reads the rest of an answer that nobody needs, so that the connection can be used again. It does not wait
// for a rest that does not arrive at once.
func (p *poster) discard(body io.ReadCloser) {
	if _, ok := p.transport.(deadliner); !ok {
		// http1 drains the body when it is closed.
		defer time.AfterFunc(answerGrace, func() { _ = body.Close() }).Stop()
		_, _ = io.CopyN(io.Discard, body, maxAnswer)
	}
	_ = body.Close()
}

// errPanicked is what the span of an attempt that panicked says.
var errPanicked = errors.New("medispatcher panicked")

// deadliner is a transport that keeps deadlines by itself, such as http1.Transport.
type deadliner interface{ EndsAtDeadline() }

// untimed is a context with a deadline but no timer: a timer would cost more than
// making the request.
type untimed struct {
	context.Context //nolint:containedctx // it is a context
	deadline        time.Time
}

func (u untimed) Deadline() (time.Time, bool) { return u.deadline, true }

// within adds a deadline to ctx, without a timer if the transport needs none.
func (p *poster) within(ctx context.Context, deadline time.Time) (context.Context, context.CancelFunc) {
	if _, ok := p.transport.(deadliner); ok {
		return untimed{ctx, deadline}, func() {}
	}
	return context.WithDeadline(ctx, deadline)
}

// readAnswer reads a response to its end or its limit, so that the connection can
// be used again, and keeps its start, or all of it if the whole decides about success.
func readAnswer(body io.Reader, all bool) ([]byte, error) {
	kept := int64(keptAnswer)
	if all {
		kept = maxAnswer
	}
	answer, err := io.ReadAll(io.LimitReader(body, kept))
	if err == nil && int64(len(answer)) == kept {
		_, err = io.Copy(io.Discard, io.LimitReader(body, maxAnswer-kept))
	}
	return answer, err
}

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
