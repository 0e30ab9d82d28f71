package daemon

import (
	"context"
	"maps"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/cmd/medispatcher/outlet"
)

// logsEvery spaces the looks at the logs.
const logsEvery = time.Second

// dataLogName and ownLogName name the logs in metrics and texts.
const (
	dataLogName = "DATA log"
	ownLogName  = "log"
)

// logWatcher reports logs that cannot be written. It leaves readiness alone: messages are still delivered, and one
// dispatcher fewer would help nobody.
type logWatcher struct {
	data   *outlet.Outlet
	own    *outlet.Outlet // before stderr; nil: none
	alerts interface {
		LogLost(lines int64, why string, lost bool)
	}

	problem atomic.Pointer[string]
}

// problemNow is why a log cannot be written now, empty while every log can.
func (w *logWatcher) problemNow() string {
	if p := w.problem.Load(); p != nil {
		return *p
	}
	return ""
}

// states are the states of the logs by name.
func (w *logWatcher) states() map[string]outlet.State {
	states := map[string]outlet.State{dataLogName: w.data.State()}
	if w.own != nil {
		states[ownLogName] = w.own.State()
	}
	return states
}

// Run watches until ctx ends.
func (w *logWatcher) Run(ctx context.Context) error {
	tick := time.NewTicker(logsEvery)
	defer tick.Stop()
	var lost int64
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		lost = w.look(lost)
	}
}

// look compares the logs with the last look, which found lostBefore lines lost.
func (w *logWatcher) look(lostBefore int64) (lost int64) {
	var problems []string
	states := w.states()
	for _, name := range slices.Sorted(maps.Keys(states)) {
		s := states[name]
		lost += s.LostLines()
		if s.Problem != nil {
			problems = append(problems, name+": "+strings.TrimPrefix(medispatcher.OneLine(s.Problem), dataLogName+": "))
		}
	}
	if len(problems) == 0 && lost > lostBefore {
		problems = []string{"lines were lost"}
	}
	problem, before := strings.Join(problems, "; "), w.problemNow()
	w.problem.Store(&problem)
	if problem != "" || before != "" {
		w.alerts.LogLost(lost, problem, problem != "")
	}
	return lost
}
