package web

import (
	"testing"
	"time"
)

func TestWords(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "under 1 s", 400 * time.Millisecond: "under 1 s", 3 * time.Second: "3 s", 59*time.Second + 700*time.Millisecond: "1 min 0 s",
		125 * time.Second: "2 min 5 s", 42 * time.Minute: "42 min", 3 * time.Hour: "3 h 0 min", 49 * time.Hour: "2 days",
	} {
		if got := words(d); got != want {
			t.Errorf("%s: %q, want %q", d, got, want)
		}
	}
	for n, want := range map[int64]string{0: "0", 999: "999", 1000: "1,000", -1234567: "-1,234,567"} {
		if got := number(n); got != want {
			t.Errorf("%d: %q, want %q", n, got, want)
		}
	}
}
