package auth

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"net/http"
	"net/url"
	"strings"
	"time"
)

const (
	cookieName = "medis_session"
	// hostPrefix makes browsers refuse a cookie that did not come from this host over TLS.
	hostPrefix = "__Host-"
	// sessionLife is a long working day.
	sessionLife = 12 * time.Hour
	nonceSize   = 16
	// askWithin bounds the question whether a session was ended.
	askWithin = 2 * time.Second
)

// Sessions are those that were ended before their time, on all dispatchers.
type Sessions interface {
	EndSession(ctx context.Context, id string, until time.Time) error
	SessionEnded(ctx context.Context, id string) (bool, error)
}

// No session is stored while it lasts: its cookie holds when it ends and a nonce, authenticated with the token as
// the key. So every dispatcher with the same token accepts it, a restart ends no session, and a
// changed token ends all of its sessions. Only a session that was ended by hand is remembered, by its nonce.
//
// Browsers do not tell the ports of a host apart when they send cookies. With TLS the name of the cookie keeps other hosts
// and plain HTTP from setting it. Without, the cookie is good for one host and port only, and a request that a page of
// another origin made does not count as signed in.

// session is a valid cookie.
type session struct {
	*holder
	id   string
	ends time.Time
}

// begin makes the value of a cookie.
func (h *holder) begin(now time.Time, site string) string {
	said := binary.BigEndian.AppendUint64(nil, uint64(now.Add(sessionLife).Unix()))
	var nonce [nonceSize]byte
	_, _ = rand.Read(nonce[:]) // never fails
	said = append(said, nonce[:]...)
	return base64.RawURLEncoding.EncodeToString(append(said, h.mac(said, site)...))
}

func (h *holder) mac(said []byte, site string) []byte {
	m := hmac.New(sha256.New, []byte(h.Secret))
	_, _ = m.Write([]byte("medispatcher panel session 2\n" + site + "\n"))
	_, _ = m.Write(said)
	return m.Sum(nil)
}

// valid reads a cookie's value; nil if it was made with nobody's token, for another site, or has ended by itself.
func (t *Tokens) valid(value string, now time.Time, site string) *session {
	raw, err := base64.RawURLEncoding.DecodeString(value)
	if err != nil || len(raw) != 8+nonceSize+sha256.Size {
		return nil
	}
	said, mac := raw[:8+nonceSize], raw[8+nonceSize:]
	ends := time.Unix(int64(binary.BigEndian.Uint64(said)), 0)
	if !now.Before(ends) {
		return nil
	}
	for i := range t.holders {
		if hmac.Equal(mac, t.holders[i].mac(said, site)) {
			return &session{&t.holders[i], base64.RawURLEncoding.EncodeToString(said[8:]), ends}
		}
	}
	return nil
}

// current is the session of a request, nil if there is none that is valid.
func (t *Tokens) current(r *http.Request) *session {
	c, err := r.Cookie(cookieOf(r))
	if err != nil || !own(r) {
		return nil
	}
	s := t.valid(c.Value, time.Now(), siteOf(r))
	if s == nil || t.endedHere.has(s.id) {
		return nil
	}
	ctx, cancel := context.WithTimeout(r.Context(), askWithin)
	defer cancel()
	// While Redis is away the session lasts: there is nothing to see or change without Redis, and the page says so.
	if ended, err := t.sessions.SessionEnded(ctx, s.id); err == nil && ended {
		t.endedHere.add(s.id, s.ends)
		return nil
	}
	return s
}

// own reports whether a page of this origin, a link or a program made a request, as far as it says so. A change must say so,
// as every browser does.
func own(r *http.Request) bool {
	safe := r.Method == http.MethodGet || r.Method == http.MethodHead || r.Method == http.MethodOptions
	site, origin := r.Header.Get("Sec-Fetch-Site"), r.Header.Get("Origin")
	switch {
	case site == "" && origin == "":
		return safe
	case site == "same-origin" || site == "none":
		return true
	case site != "": // a page of another origin: it may lead here, and nothing else
		return safe && r.Header.Get("Sec-Fetch-Mode") == "navigate"
	}
	u, err := url.Parse(origin)
	return err == nil && u.Host == r.Host
}

// Session finds who is signed in with the session of a request.
func (t *Tokens) Session(r *http.Request) (v Visitor, valid bool) {
	s := t.current(r)
	if s == nil {
		return Visitor{}, false
	}
	return s.visitor(ByPanel), true
}

// Begin answers with the cookie of a new session of the visitor that Holder found.
func (t *Tokens) Begin(w http.ResponseWriter, r *http.Request, v Visitor) {
	for i := range t.holders {
		if h := &t.holders[i]; h.Name == v.Name {
			setCookie(w, r, h.begin(time.Now(), siteOf(r)))
		}
	}
}

// End makes the browser forget its session, and every dispatcher refuse it. After an error only this one refuses it.
func (t *Tokens) End(w http.ResponseWriter, r *http.Request) error {
	s := t.current(r)
	setCookie(w, r, "")
	if s == nil {
		return nil
	}
	t.endedHere.add(s.id, s.ends)
	return t.sessions.EndSession(r.Context(), s.id, s.ends)
}

// HasCookie reports whether a request has a session to end.
func HasCookie(r *http.Request) bool {
	_, err := r.Cookie(cookieOf(r))
	return err == nil
}

// secure reports whether the browser reached this dispatcher, or the proxy before it, over TLS.
func secure(r *http.Request) bool {
	return r.TLS != nil || strings.EqualFold(r.Header.Get("X-Forwarded-Proto"), "https")
}

func cookieOf(r *http.Request) string {
	if secure(r) {
		return hostPrefix + cookieName
	}
	return cookieName
}

// siteOf is where a session is good. Over TLS the name of the cookie says it.
func siteOf(r *http.Request) string {
	if secure(r) {
		return ""
	}
	return strings.ToLower(r.Host)
}

func setCookie(w http.ResponseWriter, r *http.Request, value string) {
	c := &http.Cookie{
		Name: cookieOf(r), Value: value, Path: "/", HttpOnly: true, SameSite: http.SameSiteStrictMode, Secure: secure(r),
		MaxAge: int(sessionLife / time.Second),
	}
	if value == "" {
		c.MaxAge = -1
	}
	http.SetCookie(w, c)
}
