package main

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/solate/medispatcher"
)

// TestStatusFitsTheScreen: 80 columns and 24 lines hold what is worth looking at of ten thousand subscriptions.
func TestStatusFitsTheScreen(t *testing.T) {
	st := medispatcher.Status{Incoming: medispatcher.IncomingStatus{Ready: 12, Unrouted: 3, Quarantine: 1}}
	for i := range 10_000 {
		c := medispatcher.ChannelStatus{ID: fmt.Sprintf("subscription-with-a-rather-long-name-%05d", i), Topic: "order.created", State: medispatcher.Active}
		switch i {
		case 7777:
			c.State, c.Ready = medispatcher.BreakerOpen, 123_456_789
		case 8888:
			c.Dead = 5
		case 9999:
			c.Retrying, c.Buried = 4, 4
		}
		st.Subscriptions = append(st.Subscriptions, c)
	}
	st.Totals = medispatcher.TotalsOf(st.Subscriptions)
	for i := range 9 {
		st.Dispatchers = append(st.Dispatchers, medispatcher.Dispatcher{ID: fmt.Sprintf("a-pod-with-a-long-name-7c9d8f6b5-%05d", i), Version: "v3.1.4", Alive: i != 8, Started: time.Now().Add(-time.Hour), Heartbeat: time.Now()})
	}
	for _, size := range [][2]int{{80, 23}, {40, 12}, {200, 60}} {
		var page bytes.Buffer
		if err := printFitting(&page, st, 1, size[0], size[1]); err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(strings.TrimSuffix(page.String(), "\n"), "\n")
		if len(lines) > size[1] {
			t.Errorf("%v: %d lines:\n%s", size, len(lines), page.String())
		}
		for _, line := range lines {
			if n := utf8.RuneCountInString(line); n > size[0] {
				t.Errorf("%v: a line of %d columns: %s", size, n, line)
			}
		}
	}
	var page bytes.Buffer
	if err := printFitting(&page, st, 1, 80, 23); err != nil {
		t.Fatal(err)
	}
	out := page.String()
	contains(t, out, "07777  breaker_open", "123456789", "more: nothing waits there", "DISPATCHER", "dead since", "and 5 more", "no subscription wanted 3 messages")
	lines := strings.Split(out, "\n")
	for i, line := range lines {
		if strings.HasPrefix(line, "SUBSCRIPTION") && !strings.Contains(lines[i+1], "breaker_open") {
			t.Errorf("the open breaker is not on top:\n%s", out)
		}
	}
}
