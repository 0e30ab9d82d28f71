package main

import (
	"strings"
	"testing"

	"github.com/solate/medispatcher/cmd/internal/cli"
	"github.com/solate/medispatcher/streams/streamstest"
)

// TestPartitionsDisagree: a disagreement about MEDIS_PARTITIONS is told by dispatchers, status and doctor. Commands use the
// number of the dispatchers; one that is told another publishes nothing, and still looks at all partitions.
func TestPartitionsDisagree(t *testing.T) {
	t.Parallel()
	streamstest.Each(t, func(t *testing.T, env *streamstest.Env) {
		redis := "MEDIS_REDIS_URL=" + env.URL
		four := startServe(t, []string{redis, "MEDIS_PARTITIONS=4", "MEDIS_HEARTBEAT=50ms"}, "serve")
		four.put("s", `{"topic":"t","urls":["http://127.0.0.1:1/"],"paused":true}`)
		plain, other := newCLI(t, redis), newCLI(t, redis, "MEDIS_PARTITIONS=2")
		for _, key := range []string{"a", "b", "c", "d", "e", "f", "g", "h"} {
			plain.ok("publish", "t", "x", "--key", key)
		}
		eventually(t, "copies in all partitions", func() bool {
			n := int64(0)
			for _, p := range []string{"0", "1", "2", "3"} {
				n += env.Client.XLen(t.Context(), "medis:{"+p+"}:ch:s").Val()
			}
			return n == 8 && env.Client.XLen(t.Context(), "medis:{3}:ch:s").Val() > 0
		})

		other.fails(cli.ExitUsage, "", []string{"publish", "t", "x"}, "medispatcher: nothing was published: MEDIS_PARTITIONS is 2 here, and 4 in the dispatchers; set it to 4, or leave it out; to change it, begin with the dispatchers")
		if code, out, errs := other.run("", "status"); code != cli.ExitOK || !strings.Contains(errs, "MEDIS_PARTITIONS is 2 here") || !strings.Contains(out, "4 partitions") {
			t.Errorf("status: %d\n%s%s", code, out, errs)
		}
		_, out, _ := other.run("", "doctor")
		contains(t, out, "MEDIS_PARTITIONS", "is 2 here, and 4 in")

		// Another dispatcher has the lower number. It works on all partitions, and both say that they disagree.
		two := startServe(t, []string{redis, "MEDIS_PARTITIONS=2", "MEDIS_HEARTBEAT=50ms"}, "serve")
		contains(t, two.logs.String(), "MEDIS_PARTITIONS is lower than it was", `"partitions":4`)
		for _, d := range []*running{four, two} {
			eventually(t, "the disagreement is in the log", func() bool {
				return strings.Contains(d.logs.String(), "another dispatcher has another MEDIS_PARTITIONS")
			})
		}
		_, out, _ = plain.run("", "status")
		contains(t, out, "! dispatchers disagree about MEDIS_PARTITIONS: 2 in ")
		four.stop()
		contains(t, plain.ok("partitions"), "NEW MESSAGES", "no")
		plain.fails(cli.ExitFailed, "", []string{"partitions", "forget"}, "medispatcher: no partition of 4 can be forgotten: partition 3 still holds messages; medispatcher partitions shows them")

		// Removing a subscription removes its messages in all of them.
		if code, _, errs := other.run("", "sub", "rm", "s", "--purge"); code != cli.ExitOK {
			t.Fatal(errs)
		}
		for _, p := range []string{"0", "1", "2", "3"} {
			if env.Client.Exists(t.Context(), "medis:{"+p+"}:ch:s").Val() != 0 {
				t.Errorf("the channel in partition %s is left", p)
			}
		}
		contains(t, plain.ok("partitions", "forget"), "2 partitions of 4 forgotten; dispatchers that are started from now on work on 2")
		if got := env.Client.Get(t.Context(), "medis:partitions:{medis:dispatchers}").Val(); got != "2" {
			t.Errorf("%s partitions are noted", got)
		}

		// One that raises the number, and those that run, which do not work on the new ones.
		eight := startServe(t, []string{redis, "MEDIS_PARTITIONS=8", "MEDIS_HEARTBEAT=50ms"}, "serve")
		eventually(t, "the other one is told to start again", func() bool {
			return strings.Contains(two.logs.String(), "there are more partitions than this dispatcher works on")
		})
		_, out, _ = plain.run("", "status")
		contains(t, out, "do not work on all 8 partitions")
		eight.stop()
	})
}
