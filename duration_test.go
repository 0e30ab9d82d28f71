package medispatcher

import (
	"testing"
	"time"
)

func TestShortDuration(t *testing.T) {
	for in, want := range map[time.Duration]string{0: "0s", 10 * time.Minute: "10m", 24 * time.Hour: "24h", 90 * time.Second: "1m30s", 10 * time.Second: "10s"} {
		if got := ShortDuration(in); got != want {
			t.Errorf("%s: %s, want %s", in, got, want)
		}
	}
}

func TestRoughDuration(t *testing.T) {
	for in, want := range map[time.Duration]string{
		0: "0s", 1500 * time.Microsecond: "2ms", 2340 * time.Millisecond: "2.3s", 59960 * time.Millisecond: "1m",
		125 * time.Second: "2m5s", 3 * time.Minute: "3m", time.Hour - 1: "1h", 3*time.Hour + 7*time.Minute + 20*time.Second: "3h7m",
		-1: "0s", 90 * time.Second: "1m30s", 2*time.Hour + 29*time.Second: "2h", 30*time.Hour + 40*time.Second: "30h1m", 24 * time.Hour: "24h", 48*time.Hour - 1: "2d", 80 * time.Hour: "3d",
	} {
		if got := RoughDuration(in); got != want {
			t.Errorf("%s: %s, want %s", in, got, want)
		}
	}
}
