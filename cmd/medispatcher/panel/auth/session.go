package auth

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"net/http"
	"strings"
	"time"
)

const (
	// CookieName is the name of the cookie that holds a session.
	CookieName = "medis_session"
	// sessionLife is a long working day.
	sessionLife = 12 * time.Hour
	nonceSize   = 16
)

// No session is stored: its cookie holds when it ends and a nonce, authenticated with the token as
// the key. So every dispatcher with the same token accepts it, a restart ends no session, and a
// changed token ends all of its sessions.

// begin makes the value of a cookie.
func (h *holder) begin(now time.Time) string {
	said := binary.BigEndian.AppendUint64(nil, uint64(now.Add(sessionLife).Unix()))
	var nonce [nonceSize]byte
	_, _ = rand.Read(nonce[:]) // never fails
	said = append(said, nonce[:]...)
	return base64.RawURLEncoding.EncodeToString(append(said, h.mac(said)...))
}

func (h *holder) mac(said []byte) []byte {
	m := hmac.New(sha256.New, []byte(h.Secret))
	_, _ = m.Write([]byte("medispatcher panel session 1\n"))
	_, _ = m.Write(said)
	return m.Sum(nil)
}

// valid finds with whose token a cookie's value was made, nil if with nobody's or if it has ended.
func (t *Tokens) valid(value string, now time.Time) *holder {
	raw, err := base64.RawURLEncoding.DecodeString(value)
	if err != nil || len(raw) != 8+nonceSize+sha256.Size {
		return nil
	}
	said, mac := raw[:8+nonceSize], raw[8+nonceSize:]
	if now.Unix() >= int64(binary.BigEndian.Uint64(said)) {
		return nil
	}
	for i := range t.holders {
		if hmac.Equal(mac, t.holders[i].mac(said)) {
			return &t.holders[i]
		}
	}
	return nil
}

// Session finds who is signed in with the session of a request. A change must name its origin, as
// every browser does, because the origin is checked elsewhere and a missing one would pass.
func (t *Tokens) Session(r *http.Request) (v Visitor, valid bool) {
	c, err := r.Cookie(CookieName)
	if err != nil {
		return Visitor{}, false
	}
	h := t.valid(c.Value, time.Now())
	safe := r.Method == http.MethodGet || r.Method == http.MethodHead || r.Method == http.MethodOptions
	if h == nil || !safe && r.Header.Get("Sec-Fetch-Site") == "" && r.Header.Get("Origin") == "" {
		return Visitor{}, false
	}
	return Visitor{Name: h.Name, Role: h.Role, By: ByPanel}, true
}

// Begin answers with the cookie of a new session of the visitor that Holder found.
func (t *Tokens) Begin(w http.ResponseWriter, r *http.Request, v Visitor) {
	for i := range t.holders {
		if h := &t.holders[i]; h.Name == v.Name {
			setCookie(w, r, h.begin(time.Now()))
		}
	}
}

// End makes the browser forget its session.
func End(w http.ResponseWriter, r *http.Request) { setCookie(w, r, "") }

func setCookie(w http.ResponseWriter, r *http.Request, value string) {
	c := &http.Cookie{
		Name: CookieName, Value: value, Path: "/", HttpOnly: true, SameSite: http.SameSiteStrictMode,
		Secure: r.TLS != nil || strings.EqualFold(r.Header.Get("X-Forwarded-Proto"), "https"),
		MaxAge: int(sessionLife / time.Second),
	}
	if value == "" {
		c.MaxAge = -1
	}
	http.SetCookie(w, c)
}
