package auth

import (
	"net"
	"net/http"
	"sync"

	"golang.org/x/time/rate"
)

// Each address may try so many wrong tokens at once, and one a second after that.
const (
	guessBurst = 10
	// guessKept bounds the addresses that are remembered; who has many addresses may guess
	// more, and has 64 bits before them all the same.
	guessKept = 1000
)

// Guesses limits how often an address may try to sign in, or be wrong about the token.
type Guesses struct {
	mu   sync.Mutex
	from map[string]*rate.Limiter
}

// Allow reports whether the sender of a request may try now.
func (g *Guesses) Allow(r *http.Request) bool {
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
