package daemon

import (
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/solate/medispatcher/cmd/medispatcher/outlet"
)

type logAlerts []string

func (a *logAlerts) LogLost(lines int64, why string, lost bool) {
	*a = append(*a, fmt.Sprint(lines, " ", why, " ", lost))
}

// TestLogWatcher: a log that cannot be written is an alert until it can.
func TestLogWatcher(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var full atomic.Bool
		full.Store(true)
		data := outlet.New(outlet.Config{Bytes: 1000, Lines: 1, Write: func(line []byte) (int, error) {
			if full.Load() {
				return 0, errors.New("disk full\nreally")
			}
			return len(line), nil
		}})
		var alerts logAlerts
		w := &logWatcher{data: data, alerts: &alerts}
		lost := w.look(0)
		for range 3 {
			data.Put([]byte("x\n"), "SENT")
		}
		synctest.Wait()
		lost = w.look(lost)
		if got := w.problemNow(); got != "DATA log: disk full; really" {
			t.Errorf("problem %q", got)
		}
		full.Store(false)
		time.Sleep(time.Minute)
		lost = w.look(lost)
		w.look(lost)
		if got := fmt.Sprintf("%q", alerts); got != `["2 DATA log: disk full; really true" "2  false"]` {
			t.Errorf("alerts %s", got)
		}
		if _, err := data.Close(time.Second); err != nil {
			t.Error(err)
		}
	})
}
