package push

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"hash"
	"strconv"
	"sync"
	"time"

	"github.com/solate/medispatcher"
)

// signer signs a subscription's pushes by the Standard Webhooks specification.
type signer struct {
	key      *signKey // nil: no signature
	previous *signKey // signs beside key until the time below; nil: none
	until    time.Time
}

func newSigner(s *medispatcher.Subscription) signer {
	sg := signer{key: newSignKey(s.Secret), previous: newSignKey(s.PreviousSecret)}
	sg.until = s.PreviousUntil
	return sg
}

// signs reports whether there is something to sign with.
func (sg *signer) signs() bool { return sg.key != nil }

// sign appends the value of webhook-signature: "v1,<base64>", two of them joined by a space while a secret is being rotated.
func (sg *signer) sign(dst []byte, id string, at time.Time, body []byte) []byte {
	dst = sg.key.sign(dst, id, at, body)
	if sg.previous != nil && at.Before(sg.until) {
		dst = sg.previous.sign(append(dst, ' '), id, at, body)
	}
	return dst
}

// signKey signs with one secret. It keeps what it computes with: that costs more to make than a signature.
type signKey struct{ states sync.Pool }

type signState struct {
	mac hash.Hash
	sum [sha256.Size]byte
}

// newSignKey returns nil where there is no secret.
func newSignKey(secret string) *signKey {
	key, err := medispatcher.SecretKey(secret)
	if err != nil { // Rules let only good ones pass
		return nil
	}
	return &signKey{sync.Pool{New: func() any { return &signState{mac: hmac.New(sha256.New, key)} }}}
}

func (k *signKey) sign(dst []byte, id string, at time.Time, body []byte) []byte {
	st := k.states.Get().(*signState)
	defer k.states.Put(st)
	st.mac.Reset()
	start := len(dst)
	dst = append(append(dst, id...), '.')
	dst = append(strconv.AppendInt(dst, at.Unix(), 10), '.')
	st.mac.Write(dst[start:])
	st.mac.Write(body)
	dst = append(dst[:start], "v1,"...)
	return base64.StdEncoding.AppendEncode(dst, st.mac.Sum(st.sum[:0]))
}
