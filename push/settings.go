package push

import (
	"net/http"
	"sync"
	"sync/atomic"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/push/http1"
)

// settings are a subscription as the attempts use it, the same until it is changed.
type settings struct {
	sub  *medispatcher.Subscription // nobody changes it
	env  string
	size int         // most messages in one request
	gone atomic.Bool // Events.Gone was told by them

	once sync.Once
	made *ways
}

// ways are what every request of a subscription has in common.
type ways struct {
	targets *targets
	signer  signer
	headers http.Header // of the subscription
	head    []byte      // the header fields that every request has
	err     error       // why no request can be made
	secrets *secrets
}

// batches reports whether the requests of the subscription are batches, of one message among them.
func (s *settings) batches() bool { return s.size > 1 }

func newSettings(sub *medispatcher.Subscription, env string) *settings {
	s := &settings{sub: sub, env: env, size: 1}
	if sub.Encoding != medispatcher.EncodingForm {
		s.size = max(1, sub.Batch.Size)
	}
	return s
}

// ways are made for the first attempt: settings are made with the mutex of lanes held.
func (s *settings) ways() *ways {
	s.once.Do(func() {
		w := &ways{targets: newTargets(s.sub.URLs, s.env), signer: newSigner(s.sub)}
		w.headers, _ = allowed(s.sub.Headers)
		if w.head, w.err = http1.AppendField(nil, headerSubscription, s.sub.ID); w.err == nil {
			w.head, w.err = appendHeader(w.head, w.headers)
		}
		w.secrets = secretsOf(s.sub, w)
		s.made = w
	})
	return s.made
}

// events reports whether messages are pushed as CloudEvents.
func (s *settings) events() bool { return s.sub.Encoding == medispatcher.EncodingCloudEvents }
