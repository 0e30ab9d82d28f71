package gather

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

var opened = Kind{Line: "opened: x", Many: "many opened: x", By: "target", First: "sub"}

// logOf is a log that gathers, and what it wrote.
func logOf(kinds ...Kind) (log *slog.Logger, h *Handler, written func() []string) {
	var out bytes.Buffer
	var mu sync.Mutex
	plain := slog.NewTextHandler(locked{&mu, &out}, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}})
	h = New(plain, kinds)
	return slog.New(h), h, func() []string {
		synctest.Wait()
		mu.Lock()
		defer mu.Unlock()
		defer out.Reset()
		return strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
	}
}

type locked struct {
	mu  *sync.Mutex
	out *bytes.Buffer
}

func (l locked) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.out.Write(b)
}

func last(lines []string) string { return lines[len(lines)-1] }

// TestFirstFewAreWritten: of many lines the first ones are written, and one line counts the others. The next period begins anew.
func TestFirstFewAreWritten(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		log, _, written := logOf(opened)
		for range 2 {
			for i := range 5000 {
				log.Warn(opened.Line, "sub", i, "target", "http://h", "probe_every", "5s")
			}
			log.Warn("of another kind")
			lines := written()
			if len(lines) != Few+1 || lines[0] != `level=WARN msg="opened: x" sub=0 target=http://h probe_every=5s` || last(lines) != `level=WARN msg="of another kind"` {
				t.Errorf("%d lines, from %s to %s", len(lines), lines[0], last(lines))
			}
			time.Sleep(Period)
			if got, want := strings.Join(written(), "\n"), `level=WARN msg="many opened: x" target=http://h count=4980 in=10s first=20 last=4999 probe_every=5s`; got != want {
				t.Errorf("%s\nwant\n%s", got, want)
			}
		}
		time.Sleep(10 * Period)
		if got := written(); len(got) != 1 || got[0] != "" {
			t.Errorf("%q was written", got)
		}
	})
}

// TestFewLinesAreWrittenAsEver: who has a few subscriptions sees no difference, however long it goes on.
func TestFewLinesAreWrittenAsEver(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		log, _, written := logOf(opened)
		for range 100 {
			log.Warn(opened.Line, "sub", "a")
			time.Sleep(Period / (Few - 1))
		}
		if got := written(); len(got) != 100 {
			t.Errorf("%d lines of 100", len(got))
		}
	})
}

// TestGroups: targets are counted apart, as long as there are few of them. No line is lost from the counts.
func TestGroups(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		log, _, written := logOf(Kind{Line: "failed", Many: "many failed", Few: 1, By: "target", Group: func(s string) string { return s[:4] }})
		for i := range 10_001 {
			log.With("same", "x").Info("failed", "target", fmt.Sprintf("h%03d/path%d", i%1000, i))
		}
		written()
		time.Sleep(Period)
		lines, sum := written(), 0
		for _, line := range lines {
			var target string
			var count int
			if _, err := fmt.Sscanf(line, `level=INFO msg="many failed" target=%s count=%d in=10s same=x`, &target, &count); err != nil {
				t.Errorf("%s: %v", line, err)
			}
			sum += count
		}
		if len(lines) != maxGroups+1 || sum != 10_000 || !strings.Contains(last(lines), "target=others count=9800 ") {
			t.Errorf("%d lines, %d counted, the last is %s", len(lines), sum, last(lines))
		}
	})
}

// TestCloseWritesTheCounts: what was counted is written at the end, and what comes later as it is.
func TestCloseWritesTheCounts(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		log, h, written := logOf(opened)
		var all sync.WaitGroup
		for range 10 {
			all.Go(func() {
				for range 100 {
					log.Warn(opened.Line)
				}
			})
		}
		all.Wait()
		if err := h.Close(); err != nil {
			t.Error(err)
		}
		log.Warn(opened.Line)
		if lines := written(); len(lines) != Few+2 || !strings.Contains(lines[Few], "count=980 ") {
			t.Errorf("%d lines, %s", len(lines), lines[len(lines)-2])
		}
	})
}
