package main

import (
	"strings"
	"testing"

	"github.com/solate/medispatcher/cmd/medispatcher/daemon"
	"github.com/solate/medispatcher/streams/doctor"
)

// TestOpenFilesAreCompared: doctor compares the limit with what all subscriptions need together.
func TestOpenFilesAreCompared(t *testing.T) {
	t.Parallel()
	if f := filesFinding(1, 1); f.Level != doctor.LevelOK {
		t.Errorf("%+v", f)
	}
	if f := filesFinding(daemon.OpenFiles(), 1); f.Level != doctor.LevelWarning || !strings.Contains(f.Do, "LimitNOFILE=") {
		t.Errorf("%+v", f)
	}
}
