package medispatcher

import (
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"strings"
)

// SecretMask replaces a secret in every answer; written back, it keeps the secret.
const SecretMask = "whsec_********"

// Bytes of a signing key, by Standard Webhooks.
const (
	minSecretSize = 24
	maxSecretSize = 64
)

// SecretKey is the signing key of a secret "whsec_<base64>" of 24 to 64 bytes.
func SecretKey(secret string) ([]byte, error) {
	encoded, ok := strings.CutPrefix(secret, "whsec_")
	if !ok {
		return nil, fmt.Errorf("must begin with whsec_, followed by %d to %d bytes in base64", minSecretSize, maxSecretSize)
	}
	key, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		key, err = base64.RawStdEncoding.DecodeString(encoded)
	}
	if err != nil {
		return nil, fmt.Errorf("must have base64 behind whsec_; make one with: echo whsec_$(openssl rand -base64 32)")
	}
	if len(key) < minSecretSize || len(key) > maxSecretSize {
		return nil, fmt.Errorf("holds %d bytes behind whsec_; give %d to %d", len(key), minSecretSize, maxSecretSize)
	}
	return key, nil
}

// NewSecret makes a secret with 32 random bytes.
func NewSecret() string {
	key := make([]byte, 32)
	_, _ = rand.Read(key) // it never fails
	return "whsec_" + base64.StdEncoding.EncodeToString(key)
}
