// Package auth is who may use the panel and the API: the admin token, the sessions of browsers that were made with it, and
// a limit on guessing. It imports nothing else of this module.
package auth

import (
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
	"strings"
)

// Token is the admin token, and what was made with it.
type Token struct {
	SignIn Guesses // at the sign-in page
	Wrong  Guesses // of bearer tokens: they shut nobody out of the sign-in

	secret string
	digest [sha256.Size]byte // of the secret
}

// New makes the token of a secret, which is not empty.
func New(secret string) *Token {
	return &Token{secret: secret, digest: sha256.Sum256([]byte(secret))}
}

// Right compares digests, so that the time taken tells nothing of the token, its length included.
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
