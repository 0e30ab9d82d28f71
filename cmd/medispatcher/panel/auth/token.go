// Package auth decides who may use the panel and the API: by the admin token, or by a browser session made from it. It limits
// how fast an address can guess. It imports nothing else of this module.
package auth

import (
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
	"strings"
)

// Token is the admin token, which checks requests and makes sessions.
type Token struct {
	SignIn Guesses // at the sign-in page
	Wrong  Guesses // with a bearer token; counted apart, so that they shut nobody out of the sign-in

	secret string
	digest [sha256.Size]byte // of the secret
}

// New makes a token from a secret, which must not be empty.
func New(secret string) *Token {
	return &Token{secret: secret, digest: sha256.Sum256([]byte(secret))}
}

// Right reports whether given is the token. It compares digests, so that the time it takes reveals nothing, not even
// the length.
func (t *Token) Right(given string) bool {
	got := sha256.Sum256([]byte(given))
	return subtle.ConstantTimeCompare(got[:], t.digest[:]) == 1
}

// Bearer reports whether a request carries the token, and whether it carries any credentials.
func (t *Token) Bearer(r *http.Request) (right, given bool) {
	header := r.Header.Get("Authorization")
	scheme, token, _ := strings.Cut(header, " ")
	return t.Right(strings.TrimSpace(token)) && strings.EqualFold(scheme, "Bearer"), header != ""
}
