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
// changed token ends all.

// begin makes the value of a cookie.
func (t *Token) begin(now time.Time) string {
	said := binary.BigEndian.AppendUint64(nil, uint64(now.Add(sessionLife).Unix()))
	var nonce [nonceSize]byte
	_, _ = rand.Read(nonce[:]) // never fails
	said = append(said, nonce[:]...)
	return base64.RawURLEncoding.EncodeToString(append(said, t.mac(said)...))
}

func (t *Token) mac(said []byte) []byte {
	h := hmac.New(sha256.New, []byte(t.secret))
	_, _ = h.Write([]byte("medispatcher panel session 1\n"))
	_, _ = h.Write(said)
	return h.Sum(nil)
}

// valid reports whether a cookie's value was made with the token and has not ended.
func (t *Token) valid(value string, now time.Time) bool {
	raw, err := base64.RawURLEncoding.DecodeString(value)
	if err != nil || len(raw) != 8+nonceSize+sha256.Size {
		return false
	}
	said, mac := raw[:8+nonceSize], raw[8+nonceSize:]
	return hmac.Equal(mac, t.mac(said)) && now.Unix() < int64(binary.BigEndian.Uint64(said))
}

// Session reports whether a request carries a valid session. A change must name its origin, as
// every browser does, because the origin is checked elsewhere and a missing one would pass.
func (t *Token) Session(r *http.Request) bool {
	c, err := r.Cookie(CookieName)
	if err != nil || !t.valid(c.Value, time.Now()) {
		return false
	}
	safe := r.Method == http.MethodGet || r.Method == http.MethodHead || r.Method == http.MethodOptions
	return safe || r.Header.Get("Sec-Fetch-Site") != "" || r.Header.Get("Origin") != ""
}

// Begin answers with the cookie of a new session.
func (t *Token) Begin(w http.ResponseWriter, r *http.Request) { setCookie(w, r, t.begin(time.Now())) }

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
