package push

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/solate/medispatcher"
)

const (
	// maxAnswer is how much of a response is read, in bytes.
	maxAnswer = 64 << 10
	// keptAnswer is how much of it a failure record may keep.
	keptAnswer = 1 << 10
	// warnEvery spaces the warnings of one subscription about headers it cannot have.
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
	defer func() {
		r.took = time.Since(start)
		s.targets.report(t, r.accepted || r.cut, time.Now())
	}()
	attemptCtx, cancel := p.within(ctx, start.Add(time.Duration(s.sub.Timeout)))
	defer cancel()
	req, ignored := requestFor(attemptCtx, s, d, t.url, p.agent, start)
	if len(ignored) > 0 {
		p.warnHeaders(d, ignored)
	}
	if p.tracer != nil {
		end := p.tracer.Attempt(d, t.redacted, req.Header)
		defer func() { end(r.status, r.problem()) }()
	}
	resp, err := p.transport.RoundTrip(req)
	if err == nil {
		r.status = resp.StatusCode
		r.answer, err = readAnswer(resp.Body, s.sub.Encoding == medispatcher.EncodingForm)
		_ = resp.Body.Close()
		if r.status == http.StatusTooManyRequests || r.status == http.StatusServiceUnavailable {
			r.retryAfter = retryAfter(resp.Header.Get("Retry-After"), time.Now())
		}
	}
	switch {
	case err != nil && ctx.Err() != nil:
		r.cut = true
	case err != nil && errors.Is(err, context.DeadlineExceeded):
		r.err = fmt.Errorf("timeout: no complete answer within %s", s.sub.Timeout)
	case err != nil:
		r.err = err
	case s.sub.Encoding == medispatcher.EncodingForm:
		r.accepted = formAccepted(r.status, r.answer)
	default:
		r.accepted = r.status >= 200 && r.status <= 299
	}
	return r
}

// deadliner is a transport that keeps deadlines by itself, such as http1.Transport.
type deadliner interface{ EndsAtDeadline() }

// untimed is a context with a deadline and without a timer, which would cost more than
// putting the request together.
type untimed struct {
	context.Context //nolint:containedctx // it is a context
	deadline        time.Time
}

func (u untimed) Deadline() (time.Time, bool) { return u.deadline, true }

// within is ctx with a deadline, in the form that the transport can do with.
func (p *poster) within(ctx context.Context, deadline time.Time) (context.Context, context.CancelFunc) {
	if _, ok := p.transport.(deadliner); ok {
		return untimed{ctx, deadline}, func() {}
	}
	return context.WithDeadline(ctx, deadline)
}

// readAnswer reads a response to its end or its limit, so that the connection can
// be used again, and keeps its start; all of it where it decides about success.
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
	p.mu.Lock()
	defer p.mu.Unlock()
	if time.Since(p.warned[d.Subscription]) < warnEvery {
		return
	}
	if p.warned == nil || len(p.warned) > 10_000 {
		p.warned = map[string]time.Time{}
	}
	p.warned[d.Subscription] = time.Now()
	p.log.Warn("headers of a message are ignored: the dispatcher or HTTP itself sets them",
		"topic", d.Message.Topic, "subscription", d.Subscription, "id", d.Message.ID, "headers", ignored)
}
