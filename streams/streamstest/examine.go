package streamstest

import (
	"fmt"
	"testing"

	"github.com/solate/medispatcher/streams"
	"github.com/solate/medispatcher/streams/doctor"
)

// Examine runs an examination. It returns what Bad does.
func Examine(t *testing.T, store *streams.Store) map[string]string {
	t.Helper()
	return Bad(t, Must[doctor.Examination](t)(doctor.Examine(t.Context(), store, doctor.Checkup{Rules: Rules()})))
}

// Bad returns the findings that are not ok, by "<area>/<check>", several joined. It also checks that
// every finding is complete.
func Bad(t *testing.T, x doctor.Examination) map[string]string {
	t.Helper()
	bad, blind := map[string]string{}, false
	for _, f := range x.Findings {
		if f.Seen == "" || f.Level != doctor.LevelOK && f.Level != doctor.LevelUnknown && f.Do == "" {
			t.Errorf("says too little: %+v", f)
		}
		if f.Level == doctor.LevelUnknown && f.Check == "keys" {
			blind = true
		}
		if f.Level == doctor.LevelOK && blind && f.Area == doctor.AreaMessages {
			t.Errorf("ok although it was not examined: %+v", f)
		}
		if f.Level != doctor.LevelOK {
			bad[f.Area+"/"+f.Check] += fmt.Sprintf("%s: %s\n", f.Level, f.Seen)
		}
	}
	return bad
}
