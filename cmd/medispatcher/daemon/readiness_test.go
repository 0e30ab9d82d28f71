package daemon

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// TestReadiness: why a dispatcher cannot work is known within a second, and logged once.
func TestReadiness(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		var away, unreadable, refused, read atomic.Bool
		r := &readiness{
			redis: "r:1", log: slog.New(slog.NewTextHandler(&log, nil)),
			probe: func(ctx context.Context) error {
				if away.Load() {
					<-ctx.Done()
				}
				return ctx.Err()
			},
			read: read.Load,
			refused: func() error {
				if refused.Load() {
					return errors.New("NOPERM")
				}
				return nil
			},
			unread: func() error {
				if unreadable.Load() {
					return errors.New("WRONGTYPE")
				}
				return nil
			},
		}
		expect := func(want string) {
			t.Helper()
			time.Sleep(time.Second)
			synctest.Wait()
			got := "ready"
			if err := r.check(); err != nil {
				got = err.Error()
			}
			if !strings.HasPrefix(got, want) {
				t.Errorf("%q, want %q", got, want)
			}
		}
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		expect("starting")
		go func() { _ = r.Run(ctx) }()
		expect("starting: the subscriptions are being read")
		read.Store(true)
		expect("ready")
		away.Store(true)
		expect("Redis at r:1 takes no writes")
		expect("Redis at r:1 takes no writes")
		away.Store(false)
		unreadable.Store(true)
		expect("nothing is fanned out")
		unreadable.Store(false)
		refused.Store(true)
		expect("the fan-out stands still")
		refused.Store(false)
		expect("ready")
		r.stop()
		expect("stopping")
		if not, yes := strings.Count(log.String(), `"not ready"`), strings.Count(log.String(), "msg=ready"); not != 1 || yes != 2 {
			t.Errorf("%d and %d lines:\n%s", not, yes, log.String())
		}
	})
}
