package auth

import (
	"net"
	"net/http"
	"sync"

	"golang.org/x/time/rate"
)

// An address may try guessBurst wrong tokens at once, and one a second after that.
const (
	guessBurst = 10
	// guessKept bounds the addresses that are remembered. Whoever has many addresses can guess
	// more often, but a token is long enough to withstand that.
	guessKept = 1000
)

// Guesses limits how often an address may try to sign in, or send a wrong token.
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
