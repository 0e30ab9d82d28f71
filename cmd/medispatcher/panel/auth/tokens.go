package auth

import (
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
	"strings"

	"github.com/solate/medispatcher/cmd/internal/access"
)

// Tokens are the tokens that a dispatcher takes. They check requests and make sessions.
type Tokens struct {
	SignIn  Guesses // at the sign-in page
	Bearers Guesses // in the API; counted apart, so that they slow down nobody's sign-in
	Refused Refused // logs both

	holders   []holder
	sessions  Sessions
	endedHere ended
}

// holder is who has a token.
type holder struct {
	access.Token
	digest [sha256.Size]byte // of the secret
}

func (h *holder) visitor(by string) Visitor { return Visitor{Name: h.Name, Role: h.Role, By: by} }

// New makes Tokens. There must be at least one, and none may be empty.
func New(tokens []access.Token, sessions Sessions) *Tokens {
	t := &Tokens{sessions: sessions}
	for _, token := range tokens {
		t.holders = append(t.holders, holder{token, sha256.Sum256([]byte(token.Secret))})
	}
	return t
}

// holder finds whose token is given, nil if it is nobody's. It compares the digests of all, so that the time it takes
// reveals nothing: neither the length, nor whose token is near.
func (t *Tokens) holder(given string) *holder {
	got := sha256.Sum256([]byte(given))
	found := -1
	for i := range t.holders {
		found = subtle.ConstantTimeSelect(subtle.ConstantTimeCompare(got[:], t.holders[i].digest[:]), i, found)
	}
	if found < 0 {
		return nil
	}
	return &t.holders[found]
}

// Holder finds who signs in with a token.
func (t *Tokens) Holder(secret string) (v Visitor, right bool) {
	h := t.holder(secret)
	if h == nil {
		return Visitor{}, false
	}
	return h.visitor(ByPanel), true
}

// Bearer finds whose token a request carries, and whether it carries any credentials.
func (t *Tokens) Bearer(r *http.Request) (v Visitor, right, given bool) {
	header := r.Header.Get("Authorization")
	scheme, token, _ := strings.Cut(header, " ")
	h := t.holder(strings.TrimSpace(token))
	if h == nil || !strings.EqualFold(scheme, "Bearer") {
		return Visitor{}, false, header != ""
	}
	return h.visitor(ByAPI), true, true
}
