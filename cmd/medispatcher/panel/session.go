package panel

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

const (
	sessionCookie = "medis_session"
	// sessionLife is a working day: who looks at the panel at night has just signed in.
	sessionLife = 12 * time.Hour
	nonceSize   = 16
)

// sessions are kept nowhere: a cookie holds when it ends and a nonce, authenticated with the
// token as the key. So any dispatcher with the same token takes it, a restart ends none, and a
// changed token ends all.
type sessions struct {
	token  string
	digest [sha256.Size]byte // of the token
	signIn guesses
	wrong  guesses // of bearer tokens: they shut nobody out of the sign-in
}

func newSessions(token string) *sessions {
	return &sessions{token: token, digest: sha256.Sum256([]byte(token))}
}

// rightToken compares digests, so that the time taken tells nothing of the token, its length included.
func (s *sessions) rightToken(given string) bool {
	got := sha256.Sum256([]byte(given))
	return subtle.ConstantTimeCompare(got[:], s.digest[:]) == 1
}

// begin makes the value of a cookie.
func (s *sessions) begin(now time.Time) string {
	said := binary.BigEndian.AppendUint64(nil, uint64(now.Add(sessionLife).Unix()))
	var nonce [nonceSize]byte
	_, _ = rand.Read(nonce[:]) // never fails
	said = append(said, nonce[:]...)
	return base64.RawURLEncoding.EncodeToString(append(said, s.mac(said)...))
}

func (s *sessions) mac(said []byte) []byte {
	h := hmac.New(sha256.New, []byte(s.token))
	_, _ = h.Write([]byte("medispatcher panel session 1\n"))
	_, _ = h.Write(said)
	return h.Sum(nil)
}

// valid reports whether a cookie's value was made with the token and has not ended.
func (s *sessions) valid(value string, now time.Time) bool {
	raw, err := base64.RawURLEncoding.DecodeString(value)
	if err != nil || len(raw) != 8+nonceSize+sha256.Size {
		return false
	}
	said, mac := raw[:8+nonceSize], raw[8+nonceSize:]
	return hmac.Equal(mac, s.mac(said)) && now.Unix() < int64(binary.BigEndian.Uint64(said))
}

// bearer reports whether a request carries the token, and whether it carries any credentials.
func (s *sessions) bearer(r *http.Request) (right, given bool) {
	header := r.Header.Get("Authorization")
	scheme, token, _ := strings.Cut(header, " ")
	return s.rightToken(strings.TrimSpace(token)) && strings.EqualFold(scheme, "Bearer"), header != ""
}

// cookie reports whether a request carries a valid session. A change must say, as every
// browser does, which page it comes from: refuseCrossSite has looked at what it says.
func (s *sessions) cookie(r *http.Request) bool {
	c, err := r.Cookie(sessionCookie)
	if err != nil || !s.valid(c.Value, time.Now()) {
		return false
	}
	safe := r.Method == http.MethodGet || r.Method == http.MethodHead || r.Method == http.MethodOptions
	return safe || r.Header.Get("Sec-Fetch-Site") != "" || r.Header.Get("Origin") != ""
}

// newCookie is the cookie of a session, or with an empty value what removes it.
func newCookie(r *http.Request, value string) *http.Cookie {
	c := &http.Cookie{
		Name: sessionCookie, Value: value, Path: "/", HttpOnly: true, SameSite: http.SameSiteStrictMode,
		Secure: r.TLS != nil || strings.EqualFold(r.Header.Get("X-Forwarded-Proto"), "https"),
		MaxAge: int(sessionLife / time.Second),
	}
	if value == "" {
		c.MaxAge = -1
	}
	return c
}

// Each address may try so many wrong tokens at once, and one a second after that.
const (
	guessBurst = 10
	// guessKept bounds the addresses that are remembered; who has many addresses may guess
	// more, and has 64 bits before them all the same.
	guessKept = 1000
)

// guesses limits how often an address may try to sign in, or be wrong about the token.
type guesses struct {
	mu   sync.Mutex
	from map[string]*rate.Limiter
}

// allow reports whether the sender of a request may try now.
func (g *guesses) allow(r *http.Request) bool {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		host = r.RemoteAddr
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.from == nil || len(g.from) >= guessKept && g.from[host] == nil {
		g.from = map[string]*rate.Limiter{}
	}
	if g.from[host] == nil {
		g.from[host] = rate.NewLimiter(1, guessBurst)
	}
	return g.from[host].Allow()
}
