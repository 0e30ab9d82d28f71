package push

import (
	"net/http"
	"net/textproto"
	"sync/atomic"

	"github.com/solate/medispatcher"
)

// settings are a subscription as the attempts use it, worked out once for each change.
type settings struct {
	sub     medispatcher.Subscription
	targets *targets
	signer  signer
	headers http.Header // of the subscription, canonical names
	gone    atomic.Bool // Events.Gone was told by them
}

func newSettings(sub medispatcher.Subscription, env string) *settings {
	h := make(http.Header, len(sub.Headers))
	for name, value := range sub.Headers {
		h[textproto.CanonicalMIMEHeaderKey(name)] = []string{value}
	}
	return &settings{sub: sub, targets: newTargets(sub.URLs, env), signer: newSigner(&sub), headers: h}
}
