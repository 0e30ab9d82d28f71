package rdb

import (
	"testing"
	"time"
)

// TestDelayedUntil: delays count from when Redis took the messages, though this copy of its clock may be behind by as much as an answer took. Only
// an id that no clock can have given yet counts as now.
func TestDelayedUntil(t *testing.T) {
	t.Parallel()
	now := time.UnixMilli(1_700_000_000_000)
	db := &DB{Clock: &Clock{Mono: func() time.Duration { return 0 }, heard: true, shared: time.Duration(now.UnixNano()), within: 5 * time.Millisecond}}
	for accepted, want := range map[time.Duration]time.Duration{
		-time.Second:         -time.Second,
		0:                    0,
		time.Millisecond:     time.Millisecond,
		2 * time.Millisecond: 2 * time.Millisecond,
		time.Hour:            0,
	} {
		if due := db.DelayedUntil(now.Add(accepted), time.Minute).Sub(now); due != want+time.Minute {
			t.Errorf("accepted in %s, due in %s", accepted, due)
		}
	}
}
