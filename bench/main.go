// Command bench measures the dispatcher beside a bare HTTP client loop without a queue, the limit.
// All run in turn, in the same minutes on the same machine. Only the ratio to the limit is meaningful.
//
//	go run ./bench
//	go run ./bench -dispatcher OLD,NEW             # two builds in turn
//	go run ./bench -only limit,medispatcher,asynq  # beside others; -only all: all of them
//	go run ./bench -report                         # all, into docs/BENCHMARKS.md
//
// It needs redis-server. Everything it starts listens on the loopback interface and ends with it, on
// Linux even after SIGKILL.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/solate/medispatcher/cmd/medispatcher/loadtest"
)

type options struct {
	messages, subscribers, concurrency, size, rounds, rate int
	latencyFor                                             time.Duration
	method                                                 method
	dispatchers, only                                      []string
	report                                                 bool
	docs                                                   string
}

func main() {
	if len(os.Args) == 3 && children[os.Args[1]] != nil {
		exitOn(runChild(os.Args[1], os.Args[2]))
		return
	}
	o, err := parse(os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGPIPE)
	defer stop()
	err = run(ctx, o)
	if ctx.Err() != nil {
		err = errors.New("interrupted")
	}
	exitOn(err)
}

func parse(args []string) (o options, err error) {
	f := flag.NewFlagSet("bench", flag.ExitOnError)
	f.IntVar(&o.messages, "messages", 20_000, "`N` messages in each round")
	f.IntVar(&o.subscribers, "subscribers", 3, "`N` subscriptions; each gets every message")
	f.IntVar(&o.concurrency, "concurrency", 32, "`N` requests in flight for each subscription")
	f.IntVar(&o.size, "size", 256, "`BYTES` of a message body")
	f.IntVar(&o.rounds, "rounds", 5, "`N` rounds; each measures every system once, and the limit before and after it")
	f.IntVar(&o.rate, "rate", 500, "messages `PER_SECOND` while latency is measured")
	f.DurationVar(&o.latencyFor, "latency", 5*time.Second, "`DURATION` for which latency is measured; 0: not at all")
	name := f.String("method", "engine", "`METHOD`: engine or whole.\n"+
		"engine: everything is published before the clock runs, and all is on: one subscription is signed, and alerts;\n"+
		"whole: the clock runs from the first message published, and nothing is on that can be off")
	dispatchers := f.String("dispatcher", "", "`PATH`s of medispatcher binaries, separated by commas; built if empty")
	only := f.String("only", limitName+","+dispatcherName, "`NAME`s of the systems to measure, separated by commas, or all:\n"+
		strings.Join(names(systems(binaries{dispatchers: []string{""}})), ", "))
	f.BoolVar(&o.report, "report", false, "measure all systems, also over TLS, and write BENCHMARKS.md and images/benchmarks.svg")
	f.StringVar(&o.docs, "docs", "docs", "`DIRECTORY` for the report")
	quick := f.Bool("quick", false, "less of everything that no other flag sets: one round, 5,000 messages, latency for 2 s")
	_ = f.Parse(args) // it exits
	if *quick {
		o.lessen(f)
	}
	if o.report {
		*only = every
	}
	o.dispatchers, o.only = list(*dispatchers), list(*only)
	switch m, known := methods[*name]; {
	case f.NArg() > 0:
		return o, fmt.Errorf("%q is no flag", f.Arg(0))
	case !known:
		return o, fmt.Errorf("-method %s: must be engine or whole", *name)
	case o.report && (*name != "engine" || o.latencyFor == 0 || len(o.dispatchers) > 1):
		return o, fmt.Errorf("-report: goes with -method engine, with a latency, and with one dispatcher")
	case o.size < loadtest.MinBody:
		return o, fmt.Errorf("-size %d: must be %d or more", o.size, loadtest.MinBody)
	case min(o.messages, o.subscribers, o.concurrency, o.rounds, o.rate) < 1:
		return o, fmt.Errorf("-messages, -subscribers, -concurrency, -rounds and -rate must be 1 or more")
	default:
		o.method = m
		return o, nil
	}
}

// lessen is the flag -quick.
func (o *options) lessen(f *flag.FlagSet) {
	set := map[string]bool{}
	f.Visit(func(f *flag.Flag) { set[f.Name] = true })
	if !set["rounds"] {
		o.rounds = 1
	}
	if !set["messages"] {
		o.messages = 5000
	}
	if !set["latency"] {
		o.latencyFor = 2 * time.Second
	}
}

// list splits at commas. Of an empty text it is empty.
func list(text string) []string {
	return strings.FieldsFunc(text, func(r rune) bool { return r == ',' })
}

func exitOn(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}
