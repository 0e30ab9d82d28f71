// Command medispatcher runs a dispatcher, and has the commands that look after its messages and
// subscriptions. Each command is a file cmd_….go.
package main

import (
	"context"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
	"time"

	"github.com/solate/medispatcher/cmd/internal/cli"
)

// gcPercent lets the heap grow to five times what is live before it is collected. A
// dispatcher keeps little and makes much garbage, a few kilobytes for each push: at the
// default of 100, collecting takes a tenth of its time. GOGC and GOMEMLIMIT win.
const gcPercent = 400

func main() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	ctx, stop := onSignal(context.Background())
	code := run(ctx, os.Args[1:], os.Environ(), os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// oneSignal is how close two signals must be to count as one: timeout(1) and some supervisors
// signal the process and then its group.
const oneSignal = 100 * time.Millisecond

// onSignal ends ctx at the first SIGINT or SIGTERM, so that what is in flight can end, and
// the process at the second.
func onSignal(parent context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(parent)
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		<-signals
		cancel()
		first := time.Now()
		for range signals {
			if time.Since(first) > oneSignal {
				os.Exit(cli.ExitFailed)
			}
		}
	}()
	return ctx, cancel
}
