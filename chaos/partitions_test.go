package chaos_test

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/solate/medispatcher/streams/report"
)

// TestPartitionsChange: MEDIS_PARTITIONS is raised and lowered as docs/OPERATIONS.md says, under load and with messages that
// fail. Nothing is lost, and nothing comes twice.
func TestPartitionsChange(t *testing.T) {
	w := newWorld(t, options{delay: 5 * time.Millisecond, plan: third, partitions: 2})
	n := either(3000, 600)
	at := 0
	// roll starts the dispatchers again one by one, with another number, while messages are published.
	var all []*dispatcher
	set := func(partitions int) string { return fmt.Sprintf("MEDIS_PARTITIONS=%d", partitions) }
	load := func(during func()) {
		sent := w.publishing(at, n, time.Duration(n)*3*time.Millisecond)
		at += n
		during()
		sent()
	}
	roll := func(partitions int) {
		for i, d := range all {
			d.stop()
			all[i] = w.start(set(partitions))
		}
	}
	producers := func(partitions int) {
		cfg := w.env.Config("producer")
		cfg.Partitions, cfg.Spread = max(partitions, w.o.partitions), partitions
		w.store = w.env.Open(t, cfg)
	}
	for range 2 {
		all = append(all, w.start(set(2)))
	}
	load(func() {})
	w.o.partitions = 4       // to look at all of them
	load(func() { roll(4) }) // raised: dispatchers first …
	producers(4)             // … then producers
	load(func() {})
	producers(2) // lowered: producers first …
	load(func() { roll(2) })
	w.await(30 * time.Second)
	if v := w.judge(); v.duplicates > 0 {
		t.Errorf("%d duplicates, want none: nothing was killed", v.duplicates)
	}
	for _, d := range all {
		if !strings.Contains(d.log(), "partitions\":4") {
			t.Errorf("a dispatcher does not work on the partitions that were left:\n%s", d.tail())
		}
	}

	// … and at last what is empty is forgotten.
	forget := exec.Command(program(t, "medispatcher"), "partitions", "forget")
	forget.Env = append(os.Environ(), "MEDIS_REDIS_URL="+w.url)
	if out, err := forget.CombinedOutput(); err != nil || !strings.Contains(string(out), "work on 2") {
		t.Fatalf("partitions forget: %v\n%s", err, out)
	}
	load(func() { roll(2) })
	w.await(30 * time.Second)
	w.judge()
	for _, d := range all {
		if !strings.Contains(d.log(), "partitions\":2") {
			t.Errorf("a dispatcher works on partitions that were forgotten:\n%s", d.tail())
		}
		d.stop()
	}
	if st, err := report.New(w.store).IncomingStatus(t.Context()); err != nil || st.Ready+st.Buried > 0 {
		t.Errorf("left in incoming: %+v, %v", st, err)
	}
	w.rest()
}
