package push

import (
	"bytes"
	"cmp"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/push/http1"
)

// ErrNoTarget says that no worker URL of the subscription is for this environment.
var ErrNoTarget = errors.New(noTarget)

// Show is the request of an attempt that begins at now, at the first worker URL for the environment. An error says why none
// can be made.
func Show(sub *medispatcher.Subscription, d *medispatcher.Delivery, env, agent string, now time.Time) (medispatcher.Request, error) {
	s := newSettings(sub, env)
	t := s.ways().targets.pick(now)
	if t == nil {
		return medispatcher.Request{}, ErrNoTarget
	}
	req := new(request) // what is shown shares its memory
	if _, err := newPoster(agent).compose(req, s, d, t, now); err != nil {
		return medispatcher.Request{}, err
	}
	return shown(s, t, &req.Request), nil
}

// newPoster makes a poster that tells nobody of what it does.
func newPoster(agent string) *poster {
	return &poster{agent: agent, log: slog.New(slog.DiscardHandler)}
}

// compose makes the request of an attempt at one message, which is alone in its batch where the subscription has batches.
func (p *poster) compose(req *request, s *settings, d *medispatcher.Delivery, t *target, now time.Time) (*batch, error) {
	if !s.batches() {
		h, _ := forwarded(s, d)
		return nil, req.build(s, d, t, h, p.agent, now)
	}
	b := batchOf(&job{Delivery: *d}, nil)
	b.settings = s
	if p.pack(req, b, t).sent == 0 {
		return b, b.jobs[0].own.err
	}
	return b, req.buildBatch(s, t, b, len(b.jobs), p.agent, now)
}

// shown is a request as people may see it. It shares the body.
func shown(s *settings, t *target, r *http1.Request) medispatcher.Request {
	out := medispatcher.Request{URL: shownLocation(t.redacted), Body: r.Body, Headers: []medispatcher.HeaderField{}}
	out.Masked = out.URL != t.redacted
	if r.Query != "" {
		join := "?"
		if strings.Contains(out.URL, "?") {
			join = "&"
		}
		out.URL += join + r.Query
	}
	for line := range bytes.SplitSeq(r.Head, []byte("\r\n")) {
		name, value, ok := strings.Cut(string(line), ": ")
		if !ok {
			continue // behind the last one
		}
		ours := len(s.ways().headers[name]) > 0 && s.sub.SecretHeader(name) // else the message has it, as everybody sees
		if len(t.auth) > 0 && bytes.HasPrefix(t.auth, line) || ours {
			value, out.Masked = medispatcher.Mask, true
		}
		out.Headers = append(out.Headers, medispatcher.HeaderField{Name: name, Value: value})
	}
	slices.SortStableFunc(out.Headers, func(x, y medispatcher.HeaderField) int { return cmp.Compare(x.Name, y.Name) })
	return out
}
