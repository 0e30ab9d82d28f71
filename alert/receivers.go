package alert

import (
	"crypto/sha256"
	"encoding/hex"
	"net/url"
	"slices"
	"strings"

	"github.com/nicholas-fedor/shoutrrr/pkg/services/chat/telegram"
	"github.com/nicholas-fedor/shoutrrr/pkg/services/email/smtp"

	"github.com/solate/medispatcher"
)

// maxReceivers bounds the receivers of one notice. Each person that a URL names is one.
const maxReceivers = 64

// receiver is one address that a notice goes to. Each has its own result.
type receiver struct {
	url  string
	name string // a hash of url, for Redis
}

// show is the receiver without its secrets.
func (r receiver) show() string { return medispatcher.MaskAlertURL(r.url) }

// receivers lists the receivers that URLs name. A mail or a Telegram message to several people is split, so
// that the others do not get it again if one of them cannot be reached.
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

// apart splits a URL that names several people into one URL for each.
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
