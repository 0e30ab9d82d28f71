package auth

import (
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

const (
	// An address may send guessBurst wrong tokens at once, and one a second after that.
	guessBurst = 10
	// guessDebt is how many wrong tokens beyond that make the next try wait, a second each.
	guessDebt = 2
	// guessKept bounds the addresses that are remembered. Whoever has many addresses can guess
	// more often, but a token is long enough to withstand that.
	guessKept = 1000
)

// Guesses slows down addresses that send wrong tokens.
type Guesses struct {
	mu   sync.Mutex
	from map[string]*rate.Limiter
}

// Delay is how long a try from an address has to wait before it is looked at: not at all, or up to three seconds after too
// many wrong ones. So nobody who has the right token is shut out by others behind the same proxy.
func (g *Guesses) Delay(from string) time.Duration {
	g.mu.Lock()
	defer g.mu.Unlock()
	l := g.from[network(from)]
	if l == nil {
		return 0
	}
	return max(0, time.Duration((1-l.Tokens())*float64(time.Second)))
}

// Wrong counts a wrong token from an address. It reports whether there were too many.
func (g *Guesses) Wrong(from string) (tooMany bool) {
	from = network(from)
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.from == nil || len(g.from) >= guessKept && g.from[from] == nil {
		g.from = map[string]*rate.Limiter{}
	}
	l := g.from[from]
	if l == nil {
		l = rate.NewLimiter(1, guessBurst)
		g.from[from] = l
	}
	left := l.Tokens()
	if left > 1-guessDebt {
		l.Reserve()
	}
	return left < 1
}

// network is the /64 of an IPv6 address, which one customer has, or the address.
func network(from string) string {
	if ip, err := netip.ParseAddr(from); err == nil && ip.Unmap().Is6() {
		if p, err := ip.Prefix(64); err == nil {
			return p.String()
		}
	}
	return from
}
