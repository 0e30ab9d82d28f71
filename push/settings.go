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
	size    int                        // most messages in one request
	targets *targets
	signer  signer
	headers http.Header // of the subscription
	head    []byte      // the header fields that every request has
	err     error       // why no request can be made
	gone    atomic.Bool // Events.Gone was told by them
}

// batches reports whether the requests of the subscription are batches, of one message among them.
func (s *settings) batches() bool { return s.size > 1 }

func newSettings(sub *medispatcher.Subscription, env string) *settings {
	s := &settings{sub: sub, targets: newTargets(sub.URLs, env), signer: newSigner(sub), size: 1}
	if sub.Encoding != medispatcher.EncodingForm {
		s.size = max(1, sub.Batch.Size)
	}
	s.headers, _ = allowed(sub.Headers)
	if s.head, s.err = http1.AppendField(nil, headerSubscription, sub.ID); s.err == nil {
		s.head, s.err = appendHeader(s.head, s.headers)
	}
	return s
}

// events reports whether messages are pushed as CloudEvents.
func (s *settings) events() bool { return s.sub.Encoding == medispatcher.EncodingCloudEvents }
