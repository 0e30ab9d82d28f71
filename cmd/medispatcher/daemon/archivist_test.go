package daemon

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/solate/medispatcher/streams/streamstest"
)

// TestTrimWarnsOnce: an archive that cannot be trimmed is said once in an outage, whatever the number of partitions.
func TestTrimWarnsOnce(t *testing.T) {
	t.Parallel()
	env := streamstest.Mini(t)
	cfg := env.Config("me")
	cfg.Partitions = 4
	var log bytes.Buffer
	a := newArchivist(time.Hour, env.Open(t, cfg), nil, "me", slog.New(slog.NewTextHandler(&log, nil)))
	for _, step := range []struct {
		answer string
		want   int
	}{{"", 0}, {"LOADING", 1}, {"LOADING", 1}, {"", 1}, {"LOADING", 2}} {
		env.Mini.SetError(step.answer)
		a.trim(t.Context())
		if n := strings.Count(log.String(), "the archive cannot be trimmed"); n != step.want {
			t.Fatalf("warned %d times, want %d: %s", n, step.want, log.String())
		}
	}
	env.Mini.SetError("")
}
