package alert

import (
	"testing"
	"time"

	"github.com/solate/medispatcher"
)

// TestDrain: how long a backlog takes is right for any number of messages.
func TestDrain(t *testing.T) {
	for _, c := range []struct {
		n, sent int64
		want    time.Duration
	}{
		{60, 30, 2 * time.Minute},
		{1, 1000, time.Second},
		{7, 0, 0},
		{200_000_000, 1_000_000, 200 * time.Minute},
		{200_000_000, 1, longestDrain},
	} {
		if got := drain(c.n, c.sent, false); got != medispatcher.Duration(c.want) {
			t.Errorf("%d messages at %d a minute: %s, want %s", c.n, c.sent, got, c.want)
		}
	}
	if got := drain(60, 30, true); got != 0 {
		t.Errorf("%s, though it grows", got)
	}
}
