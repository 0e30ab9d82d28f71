package push

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"strconv"
	"time"

	"github.com/solate/medispatcher"
)

// signer signs a subscription's pushes by the Standard Webhooks specification.
type signer struct {
	key      []byte // nil: no signature
	previous []byte // signs beside key until the time below
	until    time.Time
}

func newSigner(s *medispatcher.Subscription) signer {
	var sg signer
	if s.Secret != "" {
		sg.key, _ = medispatcher.SecretKey(s.Secret) // Rules let only good ones pass
	}
	if s.PreviousSecret != "" {
		sg.previous, _ = medispatcher.SecretKey(s.PreviousSecret)
		sg.until = s.PreviousUntil
	}
	return sg
}

// sign returns the value of webhook-signature: "v1,<base64>", two of them joined
// by a space while a secret is being rotated. Empty: nothing to sign with.
func (sg *signer) sign(id string, at time.Time, body []byte) string {
	if sg.key == nil {
		return ""
	}
	signed := signatureOf(sg.key, id, at, body)
	if sg.previous != nil && at.Before(sg.until) {
		signed += " " + signatureOf(sg.previous, id, at, body)
	}
	return signed
}

func signatureOf(key []byte, id string, at time.Time, body []byte) string {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(id + "." + strconv.FormatInt(at.Unix(), 10) + "."))
	mac.Write(body)
	return "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
}
