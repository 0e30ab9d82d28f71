package recover

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"

	"github.com/solate/medispatcher"
)

// TestPanicAtAnItem: an item that makes the decoder panic goes to the quarantine as it is.
func TestPanicAtAnItem(t *testing.T) {
	was := decodeItem
	t.Cleanup(func() { decodeItem = was })
	decodeItem = func(text []byte, maxBody int64) (medispatcher.Message, error) {
		if string(text) == "poison" {
			panic("in the decoder")
		}
		return was(text, maxBody)
	}
	var logs bytes.Buffer
	w := &Watcher{MaxBody: 1000, Partitions: 2, Log: slog.New(slog.NewTextHandler(&logs, nil))}
	d := w.decide("medis:recover:x", medispatcher.RecoverItem{Token: "t", Text: "poison"})
	if d.once.Raw != "poison" || d.once.Reason != "RECOVFAILASSERT medispatcher panicked: in the decoder" {
		t.Errorf("%+v", d.once)
	}
	if !strings.Contains(logs.String(), "in the decoder") || !strings.Contains(logs.String(), "stack=") {
		t.Errorf("logs %s", &logs)
	}
}
