package push

import (
	"encoding/base64"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/push/http1"
)

// avoidFor is how long a URL that failed is tried last.
const avoidFor = 10 * time.Second

// targets are the worker URLs of a subscription that this dispatcher may use. They
// take turns; one that failed is passed over for a while where there is another.
type targets struct {
	urls []*target

	mu   sync.Mutex
	next int
}

type target struct {
	to       *http1.Target
	auth     []byte    // the header field that the userinfo stands for, if there is one
	err      error     // why no request can be made
	redacted string    // without userinfo and values of its query, for records and logs
	avoid    time.Time // guarded by targets.mu
}

func newTarget(u *url.URL) *target {
	shown := *u
	shown.User = nil
	t := &target{redacted: medispatcher.Redact(shown.String())}
	if t.to, t.err = http1.NewTarget(u); t.err == nil && u.User != nil {
		password, _ := u.User.Password()
		basic := "Basic " + base64.StdEncoding.EncodeToString([]byte(u.User.Username()+":"+password))
		t.auth, t.err = http1.AppendField(nil, headerAuthorization, basic)
	}
	return t
}

// origin is the scheme, host and port: what connections are made to. It is empty if no request can be made.
func (t *target) origin() string {
	if t == nil || t.to == nil {
		return ""
	}
	return t.to.Origin()
}

// newTargets chooses the URLs tagged with env or, if there are none, those without a tag.
func newTargets(tagged []string, env string) *targets {
	var own, untagged []*target
	for _, t := range tagged {
		tag, raw := medispatcher.SplitURL(t)
		u, problem := medispatcher.ParseURL(raw, nil)
		if problem != nil { // an earlier version stored it unchecked: attempts at it fail
			var err error
			if u, err = url.Parse(raw); err != nil {
				continue
			}
		}
		to := newTarget(u)
		if problem != nil && to.err == nil && !strings.HasPrefix(u.Host, "[") && medispatcher.CheckHost(u.Hostname()) != nil {
			to.to, to.err = nil, fmt.Errorf("%w: %w", http1.ErrInvalidRequest, problem) // the guard could not judge it
		}
		switch tag {
		case "":
			untagged = append(untagged, to)
		case env:
			own = append(own, to)
		}
	}
	if len(own) == 0 {
		own = untagged
	}
	return &targets{urls: own}
}

// pick returns the URL whose turn it is, nil where none qualifies.
func (t *targets) pick(now time.Time) *target {
	if len(t.urls) <= 1 {
		if len(t.urls) == 0 {
			return nil
		}
		return t.urls[0]
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	first := t.next
	t.next = (t.next + 1) % len(t.urls)
	best := t.urls[first]
	for i := range t.urls {
		candidate := t.urls[(first+i)%len(t.urls)]
		if !candidate.avoid.After(now) {
			return candidate
		}
		if candidate.avoid.Before(best.avoid) {
			best = candidate
		}
	}
	return best // all failed lately: the one whose failure is longest ago
}

// pick returns the URL for an attempt, nil where none qualifies.
func (p *permit) pick(s *settings, now time.Time) *target {
	if p.to != nil {
		return p.to
	}
	return s.ways().targets.pick(now)
}

// report notes how an attempt at a URL went.
func (t *targets) report(tg *target, ok bool, now time.Time) {
	if len(t.urls) <= 1 {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if ok {
		tg.avoid = time.Time{}
	} else {
		tg.avoid = now.Add(avoidFor)
	}
}
