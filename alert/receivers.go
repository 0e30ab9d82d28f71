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

const maxReceivers = 64 // of one notice, people counted one by one

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
