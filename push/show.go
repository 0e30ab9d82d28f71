package push

import (
	"bytes"
	"cmp"
	"errors"
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
	t := s.targets.pick(now)
	if t == nil {
		return medispatcher.Request{}, ErrNoTarget
	}
	req := requests.Get().(*request)
	defer req.release()
	h, _ := forwarded(s, d)
	if err := req.build(s, d, t, h, agent, now); err != nil {
		return medispatcher.Request{}, err
	}
	return shown(s, t, &req.Request), nil
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
		ours := len(s.headers[name]) > 0 && s.sub.SecretHeader(name) // else the message has it, as everybody sees
		if len(t.auth) > 0 && bytes.HasPrefix(t.auth, line) || ours {
			value, out.Masked = medispatcher.Mask, true
		}
		out.Headers = append(out.Headers, medispatcher.HeaderField{Name: name, Value: value})
	}
	slices.SortStableFunc(out.Headers, func(x, y medispatcher.HeaderField) int { return cmp.Compare(x.Name, y.Name) })
	return out
}
