// Package verify checks that a push comes from medispatcher, or from another sender of webhooks that
// signs them by Standard Webhooks (https://www.standardwebhooks.com). A worker uses it. It imports the
// standard library alone.
//
// What it exports stays as it is within a major version of medispatcher.
package verify

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/solate/medispatcher"
)

const (
	// DefaultTolerance is the Tolerance of a Verifier that has none.
	DefaultTolerance = 5 * time.Minute
	// DefaultMaxBody is the MaxBody of a Verifier that has none, in bytes. A message within the default
	// MEDIS_MAX_BODY fits in every encoding.
	DefaultMaxBody = 4 << 20
)

// The headers of Standard Webhooks.
const (
	HeaderID        = "webhook-id"        // of the message, the same for every attempt
	HeaderTimestamp = "webhook-timestamp" // of the attempt, unix seconds
	HeaderSignature = "webhook-signature" // "v1,<base64>", several joined by spaces
)

// Errors of a push that is not to be trusted. The errors that wrap them say more. They hold no secret.
var (
	// ErrUnsigned: a header of Standard Webhooks is missing.
	ErrUnsigned = errors.New("the push is not signed")
	// ErrTime: the push was signed too long ago, or in the future.
	ErrTime = errors.New("the time of the push is not now")
	// ErrSignature: none of the secrets made the signature.
	ErrSignature = errors.New("the signature is wrong")
	// ErrTooLarge: the body is larger than MaxBody.
	ErrTooLarge = errors.New("the body is too large")
)

// Verifier checks pushes with one or more secrets. It is safe for concurrent use, as long as nobody
// changes its fields.
type Verifier struct {
	// Tolerance is how far the time of a push may lie from the clock of this machine, to either side.
	// 0: DefaultTolerance.
	Tolerance time.Duration
	// MaxBody bounds the body that Read and Handler read, in bytes. 0: DefaultMaxBody.
	MaxBody int64
	// Now is the clock. nil: time.Now.
	Now func() time.Time

	keys [][]byte
}

// New makes a Verifier for the secrets of a subscription, each "whsec_" and 24 to 64 bytes in base64.
// A push that one of them signed is good. So give the old and the new one while a secret is changed.
func New(secrets ...string) (*Verifier, error) {
	if len(secrets) == 0 {
		return nil, errors.New("verify: give at least one secret")
	}
	v := &Verifier{}
	for i, s := range secrets {
		key, err := medispatcher.SecretKey(s)
		if err != nil {
			return nil, fmt.Errorf("verify: secret %d of %d: it %w", i+1, len(secrets), err)
		}
		v.keys = append(v.keys, key)
	}
	return v, nil
}

// Check checks the headers of a push against the bytes of its body, as they came. The error is
// ErrUnsigned, ErrTime or ErrSignature, wrapped.
func (v *Verifier) Check(h http.Header, body []byte) error {
	s, err := v.signed(h)
	if err != nil {
		return err
	}
	for _, key := range v.keys {
		want := sum(key, s.id, s.at, body)
		for _, got := range s.signatures {
			if hmac.Equal(got, want) {
				return nil
			}
		}
	}
	with := "another secret than the one given"
	if n := len(v.keys); n > 1 {
		with = fmt.Sprintf("none of the %d secrets given", n)
	}
	return fmt.Errorf("verify: %w: it was made with %s, or the body was changed on its way", ErrSignature, with)
}

// sum is the signature of a push.
func sum(key []byte, id, at string, body []byte) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(id + "." + at + "."))
	mac.Write(body)
	return mac.Sum(nil)
}

// Sign sets the headers of Standard Webhooks, as medispatcher does with one secret. It is for the tests
// of a worker.
func Sign(h http.Header, secret, id string, at time.Time, body []byte) error {
	key, err := medispatcher.SecretKey(secret)
	if err != nil {
		return fmt.Errorf("verify: the secret %w", err)
	}
	seconds := strconv.FormatInt(at.Unix(), 10)
	h.Set(HeaderID, id)
	h.Set(HeaderTimestamp, seconds)
	h.Set(HeaderSignature, "v1,"+base64.StdEncoding.EncodeToString(sum(key, id, seconds, body)))
	return nil
}

// signed is what the headers of a push say.
type signed struct {
	id, at     string
	signatures [][]byte
}

// maxSignatures bounds the work for one push. medispatcher sends one or two.
const maxSignatures = 16

// signed reads the headers of a push, and checks its time.
func (v *Verifier) signed(h http.Header) (s signed, err error) {
	for _, name := range []string{HeaderID, HeaderTimestamp, HeaderSignature} {
		if h.Get(name) == "" {
			return s, fmt.Errorf("verify: %w: it has no %s header; is there a secret in the subscription?", ErrUnsigned, name)
		}
	}
	s.id, s.at = h.Get(HeaderID), h.Get(HeaderTimestamp)
	seconds, err := strconv.ParseInt(s.at, 10, 64)
	if err != nil {
		return s, fmt.Errorf("verify: %w: %s is not a time in unix seconds", ErrTime, HeaderTimestamp)
	}
	tolerance := v.Tolerance
	if tolerance == 0 {
		tolerance = DefaultTolerance
	}
	switch age := v.now().Sub(time.Unix(seconds, 0)); {
	case age > tolerance:
		return s, fmt.Errorf("verify: %w: it was signed %s ago, and %s are allowed; is the clock of this machine right?", ErrTime, age.Round(time.Second), tolerance)
	case -age > tolerance:
		return s, fmt.Errorf("verify: %w: it lies %s ahead, and %s are allowed; is the clock of this machine right?", ErrTime, (-age).Round(time.Second), tolerance)
	}
	for part := range strings.FieldsSeq(h.Get(HeaderSignature)) {
		version, text, _ := strings.Cut(part, ",")
		if version != "v1" {
			continue // made in a way that this package does not know; a v1 stands beside it
		}
		if got, err := base64.StdEncoding.DecodeString(text); err == nil && len(s.signatures) < maxSignatures {
			s.signatures = append(s.signatures, got)
		}
	}
	return s, nil
}

func (v *Verifier) now() time.Time {
	if v.Now != nil {
		return v.Now()
	}
	return time.Now()
}
