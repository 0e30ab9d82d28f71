package alert

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/nicholas-fedor/shoutrrr/pkg/router"
	"github.com/nicholas-fedor/shoutrrr/pkg/services/chat/discord"
	"github.com/nicholas-fedor/shoutrrr/pkg/services/chat/matrix"
	"github.com/nicholas-fedor/shoutrrr/pkg/services/chat/telegram"
	"github.com/nicholas-fedor/shoutrrr/pkg/services/email/smtp"
	"github.com/nicholas-fedor/shoutrrr/pkg/services/push/ntfy"
	"github.com/nicholas-fedor/shoutrrr/pkg/types"

	"github.com/solate/medispatcher"
)

const (
	maxURL       = 2048 // bytes
	maxReceivers = 64   // of one notice, people counted one by one
)

// nextURL finds where a list goes on with another URL. A comma alone does not: URLs hold commas.
var nextURL = regexp.MustCompile(`[\s]+,?\s*|,\s*([A-Za-z][A-Za-z0-9+.-]*://)`)

// SplitURLs takes a list of receivers apart. They are separated by spaces, or by a comma behind
// which a scheme follows: smtp://h/?to=a@x,b@x,slack://… are two.
func SplitURLs(list string) []string {
	var urls []string
	add := func(s string) {
		if s = strings.Trim(s, " \t\r\n,"); s != "" {
			urls = append(urls, s)
		}
	}
	from := 0
	for _, m := range nextURL.FindAllStringSubmatchIndex(list, -1) {
		add(list[from:m[0]])
		from = m[1]
		if m[2] >= 0 {
			from = m[2]
		}
	}
	add(list[from:])
	return urls
}

// CheckURL says what is wrong with the URL of a receiver. Nobody is connected to. The error never
// holds what may be secret.
func CheckURL(rawURL string) error {
	if len(rawURL) > maxURL {
		return fmt.Errorf("is longer than %d bytes", maxURL)
	}
	u, err := url.Parse(rawURL)
	if err != nil || u.Scheme == "" {
		return errors.New("is not a URL; write smtp://…, slack://…, teams://…, telegram://…, discord://…, generic+https://… or another one that docs/ALERTS.md names, with / ? # % and spaces in passwords and tokens as %2F %3F %23 %25 %20")
	}
	if u.Scheme == "http" || u.Scheme == "https" {
		return fmt.Errorf("begins with %s://; write generic+%s://… for a webhook", u.Scheme, u.Scheme)
	}
	if u.Scheme == matrix.Scheme { // to make one ready logs in
		return safe((&matrix.Config{}).SetURL(u), rawURL)
	}
	_, err = service(u)
	return safe(err, rawURL)
}

// service is what the library sends through for a URL.
func service(u *url.URL) (types.Service, error) {
	scheme, custom, _ := strings.Cut(strings.ToLower(u.Scheme), "+")
	if scheme == "logger" {
		return nil, errors.New("goes nowhere: a log line is written of every alert anyhow")
	}
	var lib router.ServiceRouter
	svc, err := lib.NewService(scheme)
	if err != nil {
		known := lib.ListServices()
		known = slices.DeleteFunc(known, func(s string) bool { return s == "logger" })
		slices.Sort(known)
		return nil, fmt.Errorf("has an unknown scheme; there are %s", strings.Join(known, ", "))
	}
	if custom != "" {
		from, ok := svc.(types.CustomURLService)
		if !ok {
			return nil, fmt.Errorf("has +%s behind the scheme, which %s does not take", custom, scheme)
		}
		if u, err = from.GetConfigURLFromCustom(u); err != nil {
			return nil, err
		}
	}
	return svc, svc.Initialize(u, nil)
}

// own makes a service that brings its own client send through the network.
func (n *Network) own(svc types.Service) {
	through := func(c *http.Client) *http.Client {
		if t, ok := c.Transport.(*http.Transport); ok && t != nil { // with its TLS settings
			t.DialContext, t.Proxy, t.DisableKeepAlives = n.Dial, http.ProxyFromEnvironment, true
		}
		return c
	}
	switch svc := svc.(type) {
	case *ntfy.Service:
		c := &http.Client{Timeout: sendWithin, Transport: n.Transport()}
		if svc.Config.DisableTLSVerification {
			c.Transport.(*http.Transport).TLSClientConfig = insecure()
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

// once sends one request: a service that repeats its own for minutes would hold up the receivers'
// results, and send twice what is repeated here.
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
	return nil, errors.New(err.Error()) // without its type, by which it would be repeated
}

// receiver is one address that a notice goes to and has its own result.
type receiver struct {
	url  string
	name string // tells receivers apart where no secret may stand
}

// show is the receiver as it may be shown.
func (r receiver) show() string { return medispatcher.MaskAlertURL(r.url) }

// receivers are those of a list of URLs. A mail or a Telegram message to several people are several, so that
// one who cannot be reached does not repeat it for the others.
func receivers(urls []string) []receiver {
	var list []receiver
	for _, raw := range urls {
		for _, one := range apart(raw) {
			sum := sha256.Sum256([]byte(one))
			r := receiver{one, hex.EncodeToString(sum[:8])}
			if !slices.Contains(list, r) && len(list) < maxReceivers {
				list = append(list, r)
			}
		}
	}
	return list
}

// apart makes a URL for each of the people that a URL names.
func apart(rawURL string) []string {
	u, err := url.Parse(rawURL)
	if err != nil {
		return []string{rawURL}
	}
	var keys []string
	switch u.Scheme {
	case smtp.Scheme:
		keys = []string{"toaddresses", "to"}
	case telegram.Scheme:
		keys = []string{"chats", "channels"}
	}
	q := u.Query()
	for name, values := range q {
		if !slices.Contains(keys, strings.ToLower(name)) {
			continue
		}
		var list []string
		for person := range strings.SplitSeq(values[0], ",") {
			q.Set(name, strings.TrimSpace(person))
			one := *u
			one.RawQuery = q.Encode()
			list = append(list, one.String())
		}
		return list
	}
	return []string{rawURL}
}
