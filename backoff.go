package medispatcher

import (
	"context"
	"math/rand/v2"
	"time"
)

// Backoff spaces the repetitions of a step that fails: 100 ms, doubling to 2 s. Jitter keeps
// dispatchers from repeating at the same moment.
type Backoff struct{ failures int }

// Failures is the number of waits since the last Reset.
func (b *Backoff) Failures() int { return b.failures }

// Reset starts again at 100 ms, after the step worked.
func (b *Backoff) Reset() { b.failures = 0 }

// Next is how long to wait before the next try.
func (b *Backoff) Next() time.Duration {
	d := min(100*time.Millisecond<<min(b.failures, 5), 2*time.Second)
	b.failures++
	return d/2 + rand.N(d/2)
}

// Wait waits before the next try. It returns early when ctx ends.
func (b *Backoff) Wait(ctx context.Context) { Sleep(ctx, b.Next()) }

// Sleep waits for d or until ctx ends, and reports whether d passed.
func Sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
