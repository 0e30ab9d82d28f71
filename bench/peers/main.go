// Command peers is what the benchmark compares medispatcher with: the loops that people would write
// themselves, and libraries that keep their queues in Redis, too. Each pushes the same messages to the
// same receiver.
//
//	peers SYSTEM LOAD        # runs a system until it is stopped
//	peers SYSTEM LOAD SPAN   # publishes messages to it, where it has a form of its own for them
//
// The benchmark runs it: go run ./bench -only all
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// load is what the benchmark says about a measurement.
type load struct {
	Plan struct {
		Concurrency int // requests in flight for each subscription
		Size        int // bytes of a body
	}
	Began   time.Time     // bodies carry the time since then
	Redis   string        // host:port
	Stream  string        // to which messages are published
	URLs    []string      // one for each subscription
	Sample  string        // a body
	Timeout time.Duration // of a request
}

// inFlight is how many requests are in flight at most.
func (l *load) inFlight() int { return l.Plan.Concurrency * len(l.URLs) }

// peer is a system.
type peer struct {
	// run calls ready when messages may come.
	run func(ctx context.Context, l *load, ready func()) error
	// publisher returns what publishes one message. Nil: the benchmark itself adds messages to the stream.
	publisher func(*load) (func(context.Context, []byte) error, error)
}

var peers = map[string]peer{
	"loop":                 {run: loop{client: netHTTP}.run},
	"loop-fanout":          {run: loop{client: netHTTP, copies: true}.run},
	"loop-fasthttp":        {run: loop{client: fastHTTP}.run},
	"loop-fasthttp-fanout": {run: loop{client: fastHTTP, copies: true}.run},
	"watermill":            {run: runWatermill, publisher: watermillPublisher},
	"asynq":                {run: runAsynq, publisher: asynqPublisher},
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := start(ctx, os.Args[1:]); err != nil && ctx.Err() == nil {
		fmt.Fprintln(os.Stderr, "peers:", err)
		os.Exit(1)
	}
}

func start(ctx context.Context, args []string) error {
	if len(args) < 2 {
		return fmt.Errorf("go run ./bench -only all runs this, with a system and a load")
	}
	p, known := peers[args[0]]
	if !known {
		return fmt.Errorf("there is no system %q", args[0])
	}
	var l load
	if err := json.Unmarshal([]byte(args[1]), &l); err != nil {
		return fmt.Errorf("load: %w", err)
	}
	if len(args) == 3 {
		return publish(ctx, &l, args[2], p.publisher)
	}
	return p.run(ctx, &l, func() { fmt.Println("ready") })
}
