package alert

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"

	"github.com/nicholas-fedor/shoutrrr/pkg/services/chat/discord"
	"github.com/nicholas-fedor/shoutrrr/pkg/services/push/ntfy"
	"github.com/nicholas-fedor/shoutrrr/pkg/types"
)

// own makes a service that has its own HTTP client use the network.
func (n *Network) own(svc types.Service) {
	through := func(c *http.Client) *http.Client {
		if t, ok := c.Transport.(*http.Transport); ok && t != nil { // keeps the TLS settings
			t.DialContext, t.Proxy, t.DisableKeepAlives = n.Dial, http.ProxyFromEnvironment, true
		}
		return c
	}
	switch svc := svc.(type) {
	case *ntfy.Service:
		c := &http.Client{Timeout: sendWithin, Transport: n.Transport()}
		if svc.Config.DisableTLSVerification {
			c.Transport.(*http.Transport).TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: true}
		}
		svc.SetHTTPClient(c)
	case *discord.Service:
		svc.HTTPClient = &once{}
	case interface{ GetHTTPClient() *http.Client }:
		if c := svc.GetHTTPClient(); c != nil {
			through(c)
		}
	}
}

// once sends one request and fails all others. The discord service repeats its own request for minutes; it
// must not, because the Notifier does.
type once struct{ before error }

func (o *once) Do(r *http.Request) (*http.Response, error) {
	if o.before != nil {
		return nil, o.before
	}
	resp, err := http.DefaultClient.Do(r)
	o.before = err
	if err == nil {
		o.before = fmt.Errorf("status %s", resp.Status)
		return resp, nil
	}
	return nil, errors.New(err.Error()) // without the type that makes the service repeat it
}
