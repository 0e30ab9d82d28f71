package push

import (
	"net/http"
	"sync/atomic"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/push/http1"
)

// settings are a subscription as the attempts use it, worked out once for each change.
type settings struct {
	sub     *medispatcher.Subscription // nobody changes it
	targets *targets
	signer  signer
	headers http.Header // of the subscription
	head    []byte      // the header fields that every request has
	err     error       // why no request can be made
	gone    atomic.Bool // Events.Gone was told by them
}

func newSettings(sub *medispatcher.Subscription, env string) *settings {
	s := &settings{sub: sub, targets: newTargets(sub.URLs, env), signer: newSigner(sub)}
	s.headers, _ = allowed(sub.Headers)
	if s.head, s.err = http1.AppendField(nil, headerSubscription, sub.ID); s.err == nil {
		s.head, s.err = appendHeader(s.head, s.headers)
	}
	return s
}
