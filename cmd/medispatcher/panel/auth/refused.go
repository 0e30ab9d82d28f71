package auth

import (
	"log/slog"
	"sync"

	"golang.org/x/time/rate"
)

// Refused logs refused requests, so that whoever sends many of them does not fill the log: ten at once, and one a second after
// that. The next line says how many were left out.
type Refused struct {
	mu      sync.Mutex
	lines   *rate.Limiter
	skipped int
}

// Warn logs one refused request, or counts it.
func (f *Refused) Warn(log *slog.Logger, what string, about ...any) {
	f.mu.Lock()
	if f.lines == nil {
		f.lines = rate.NewLimiter(1, 10)
	}
	if !f.lines.Allow() {
		f.skipped++
		f.mu.Unlock()
		return
	}
	if f.skipped > 0 {
		about = append(about, "not_logged", f.skipped)
	}
	f.skipped = 0
	f.mu.Unlock()
	log.Warn(what, about...)
}
