package medispatcher

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

func TestBackoffDoublesToItsLimit(t *testing.T) {
	var b Backoff
	most := []time.Duration{100, 200, 400, 800, 1600, 2000, 2000}
	for range 50 { // the jitter differs
		for i, ms := range most {
			limit := ms * time.Millisecond
			if d := b.Next(); d < limit/2 || d > limit {
				t.Fatalf("wait %d is %s, want %s to %s", i+1, d, limit/2, limit)
			}
			if b.Failures() != i+1 {
				t.Fatalf("%d failures, want %d", b.Failures(), i+1)
			}
		}
		b.Reset()
		if b.Failures() != 0 {
			t.Fatalf("%d failures after Reset", b.Failures())
		}
	}
	b.failures = 1 << 40
	if d := b.Next(); d < time.Second || d > 2*time.Second {
		t.Errorf("%s after very many failures", d)
	}
}

func TestBackoffDoesNotComeInStep(t *testing.T) {
	seen := map[time.Duration]bool{}
	for range 20 {
		var b Backoff
		seen[b.Next()] = true
	}
	if len(seen) < 2 {
		t.Errorf("every first wait is the same: %v", seen)
	}
}

func TestSleep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		start := time.Now()
		if !Sleep(ctx, 3*time.Second) || time.Since(start) != 3*time.Second {
			t.Errorf("returned after %s, want a whole sleep of 3s", time.Since(start))
		}
		start = time.Now()
		time.AfterFunc(time.Second, cancel)
		if Sleep(ctx, time.Hour) || time.Since(start) != time.Second {
			t.Errorf("returned after %s, want 1s, when the context ended", time.Since(start))
		}
		if Sleep(ctx, time.Hour) || time.Since(start) != time.Second {
			t.Error("slept although the context had ended")
		}
	})
}

func TestBackoffWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		var b Backoff
		start := time.Now()
		b.Wait(ctx)
		if d := time.Since(start); d < 50*time.Millisecond || d > 100*time.Millisecond || b.Failures() != 1 {
			t.Errorf("first wait %s, %d failures", d, b.Failures())
		}
		cancel()
		start = time.Now()
		b.Wait(ctx)
		if d := time.Since(start); d != 0 {
			t.Errorf("waited %s although the context had ended", d)
		}
	})
}
