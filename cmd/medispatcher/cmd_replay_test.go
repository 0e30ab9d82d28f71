package main

import (
	"context"
	"io"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/solate/medispatcher/cmd/internal/cli"
)

// TestReplayThatWaits: a replay without a terminal says once that it waits. A script would stand there without a word.
func TestReplayThatWaits(t *testing.T) {
	t.Parallel()
	c := newCLI(t)
	c.ok("sub", "put", "s", "--topic", "a.*", "--url", "http://h/")
	add := func(key, id string) {
		if _, err := c.redis.XAdd(key, id, []string{"topic", "a.b", "body", "1", "id", "x"}); err != nil {
			t.Fatal(err)
		}
	}
	add("medis:{0}:archive", strconv.FormatInt(time.Now().UnixMilli(), 10)+"-0")
	for i := range 1001 {
		add("medis:{0}:ch:s", "1-"+strconv.Itoa(i+1))
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var errs lockedBuffer
	errs.wrote = func() {
		if strings.Contains(errs.String(), "waits") {
			cancel()
		}
	}
	code := run(ctx, []string{"replay", "s", "--since", "1h", "--yes"}, c.env, strings.NewReader(""), io.Discard, &errs)
	if said := errs.String(); code != cli.ExitFailed || strings.Count(said, "s: waits for the subscription to take some of its messages; if this lasts, it is paused") != 1 {
		t.Errorf("exit %d: %s", code, said)
	}
}
