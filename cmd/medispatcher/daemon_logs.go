package main

import (
	"context"
	"maps"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/solate/medispatcher/cmd/medispatcher/outlet"
)

// logsEvery spaces the looks at the logs.
const logsEvery = time.Second

// logHealth is why a log of this dispatcher cannot be written now.
type logHealth struct{ problem atomic.Pointer[string] }

// problemNow is empty while every log is written.
func (h *logHealth) problemNow() string {
	if p := h.problem.Load(); p != nil {
		return *p
	}
	return ""
}

// dataLogName and ownLogName name the logs in metrics and texts.
const (
	dataLogName = "DATA log"
	ownLogName  = "log"
)

// logStates are the states of this dispatcher's logs by name.
func (d *daemon) logStates() map[string]outlet.State {
	states := map[string]outlet.State{dataLogName: d.data.out.State()}
	if d.ownLog != nil {
		states[ownLogName] = d.ownLog.State()
	}
	return states
}

// watchLogs tells of logs that cannot be written, until ctx ends. Readiness is not touched: everything is
// delivered, and a dispatcher less would help nobody.
func (d *daemon) watchLogs(ctx context.Context) error {
	tick := time.NewTicker(logsEvery)
	defer tick.Stop()
	var lost int64
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		lost = d.lookAtLogs(lost)
	}
}

// lookAtLogs compares the logs with the last look, which found so many lines lost.
func (d *daemon) lookAtLogs(lostBefore int64) (lost int64) {
	var problems []string
	states := d.logStates()
	for _, name := range slices.Sorted(maps.Keys(states)) {
		s := states[name]
		lost += s.LostLines()
		if s.Problem != nil {
			problems = append(problems, name+": "+strings.TrimPrefix(oneLine(s.Problem), dataLogName+": "))
		}
	}
	if len(problems) == 0 && lost > lostBefore {
		problems = []string{"lines were lost"}
	}
	problem, before := strings.Join(problems, "; "), d.logs.problemNow()
	d.logs.problem.Store(&problem)
	if problem != "" || before != "" {
		d.alerts.events.LogLost(lost, problem, problem != "")
	}
	return lost
}
