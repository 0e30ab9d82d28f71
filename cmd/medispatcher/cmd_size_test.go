package main

import (
	"strings"
	"testing"

	"github.com/solate/medispatcher/cmd/internal/cli"
)

// TestSizeCommand: the estimate of a load, without a Redis, and every mistake at once.
func TestSizeCommand(t *testing.T) {
	t.Parallel()
	code, out, stderr := runWith(t, nil, nil, "size", "--rate", "20000", "--fan-out", "5", "--outage", "1h", "--retention", "24h")
	for _, want := range []string{"100000/s", "masters of Redis            6", "MEDIS_PARTITIONS           32", "360 GiB wait", "1.8 TiB are in the archive"} {
		if code != cli.ExitOK || stderr != "" || !strings.Contains(out, want) {
			t.Errorf("exit %d, no %q in\n%s%s", code, want, out, stderr)
		}
	}
	if _, out, _ := runWith(t, nil, nil, "size", "--rate", "10", "--body", "64KiB"); !strings.Contains(out, "publish a reference") {
		t.Errorf("nothing about large bodies in\n%s", out)
	}
	code, _, stderr = runWith(t, nil, nil, "size", "--rate", "NaN", "--body", "1GiB", "--fan-out", "-1", "--outage", "-1s")
	for _, want := range []string{"--rate NaN: give 0.001 to", "--body 1GiB: give at most 512MiB", "--fan-out -1: give", "--outage -1s: give 0 or more"} {
		if code != cli.ExitUsage || !strings.Contains(stderr, want) {
			t.Errorf("exit %d, no %q in\n%s", code, want, stderr)
		}
	}
	if _, _, stderr := runWith(t, nil, nil, "size", "--rate", "0"); !strings.Contains(stderr, "--rate 0: give 0.001 to") {
		t.Error(stderr)
	}
	if code, _, stderr := runWith(t, nil, nil, "size"); code != cli.ExitUsage || !strings.Contains(stderr, "--rate is missing") {
		t.Errorf("exit %d, %s", code, stderr)
	}
}
