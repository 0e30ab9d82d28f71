package daemon

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"

	"github.com/solate/medispatcher"
)

// TestFileLimitWarnsOnce: there is one warning each time the limit becomes too low for all subscriptions together.
func TestFileLimitWarnsOnce(t *testing.T) {
	have := OpenFiles()
	var log bytes.Buffer
	limit := &fileLimit{log: slog.New(slog.NewTextHandler(&log, nil))}
	big := medispatcher.Subscription{Concurrency: have, RetryConcurrency: 1}
	paused := big
	paused.Paused = true
	for _, step := range []struct {
		sub  medispatcher.Subscription
		want int
	}{{paused, 0}, {big, 1}, {big, 1}, {paused, 1}, {big, 2}} {
		limit.apply(medispatcher.NewSubscriptions(step.sub))
		if n := strings.Count(log.String(), "the limit of open files is low"); n != step.want {
			t.Fatalf("warned %d times, want %d: %s", n, step.want, log.String())
		}
	}
}
