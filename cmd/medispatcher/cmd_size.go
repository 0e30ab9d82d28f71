package main

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/cmd/internal/cli"
	"github.com/solate/medispatcher/cmd/medispatcher/sizing"
)

// sizeFlags is the load of the command size.
type sizeFlags struct {
	rate, fanOut              float64
	body                      string
	answer, outage, retention time.Duration
}

func (a *app) sizeCommand() *cobra.Command {
	var f sizeFlags
	cmd := &cobra.Command{
		Use:     "size --rate PER_SECOND",
		GroupID: groupOperate,
		Short:   "Estimate what a load needs: dispatchers, masters, memory",
		Long: `Estimate how many dispatchers and masters of Redis a load needs, how much memory, and how
much Redis writes. Cores are planned to be two thirds busy. The figures behind the estimate
were measured on one machine: docs/SCALING.md has them, and says how to measure yours.

It needs no Redis.`,
		Example: `  medispatcher size --rate 2000 --body 2KiB --fan-out 3
  medispatcher size --rate 500 --answer 300ms --outage 6h --retention 168h
  medispatcher size --rate 20000 --json`,
		Args: cli.NoArgs,
	}
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if !cmd.Flags().Changed("rate") {
			return cli.Usagef("--rate is missing: give the messages per second at the peak")
		}
		load, err := f.load()
		if err != nil {
			return err
		}
		plan := sizing.For(load)
		if a.json {
			return cli.WriteJSON(a.stdout, plan, "  ")
		}
		return a.showSize(load, plan)
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.Float64Var(&f.rate, "rate", 0, "messages `PER_SECOND` at the peak")
	flags.StringVar(&f.body, "body", "1KiB", "`BYTES` of a body on average, such as 4KiB")
	flags.Float64Var(&f.fanOut, "fan-out", 3, "`N` subscriptions get a message, on average")
	flags.DurationVar(&f.answer, "answer", 50*time.Millisecond, "`DURATION` that a worker takes to answer")
	flags.DurationVar(&f.outage, "outage", 10*time.Minute, "`DURATION` for which all workers may be away at the peak")
	flags.DurationVar(&f.retention, "retention", 0, "`DURATION` of MEDIS_RETENTION; 0: no archive")
	return a.jsonFlag(cmd, "print JSON")
}

// The limits keep the figures readable.
const (
	sizeMaxRate   = 10_000_000
	sizeMaxFanOut = 100_000
	sizeMaxBody   = 512 << 20 // Redis takes no more
)

// load reports every mistake in the flags.
func (f *sizeFlags) load() (sizing.Load, error) {
	var errs []error
	wrong := func(format string, args ...any) { errs = append(errs, cli.Usagef(format, args...)) }
	between := func(name string, v, low, high float64) {
		if !(v >= low && v <= high) { // NaN, too
			wrong("--%s %s: give %s to %s", name, figure(v), figure(low), figure(high))
		}
	}
	between("rate", f.rate, 0.001, sizeMaxRate)
	between("fan-out", f.fanOut, 0.001, sizeMaxFanOut)
	var body medispatcher.Size
	if err := body.UnmarshalText([]byte(f.body)); err != nil {
		wrong("--body %v", err)
	} else if body > sizeMaxBody {
		wrong("--body %s: give at most %s, which Redis takes", f.body, medispatcher.Size(sizeMaxBody))
	}
	for name, d := range map[string]time.Duration{"answer": f.answer, "outage": f.outage, "retention": f.retention} {
		if d < 0 {
			wrong("--%s %s: give 0 or more", name, d)
		}
	}
	return sizing.Load{Rate: f.rate, Body: int64(body), FanOut: f.fanOut, Answer: f.answer, Away: f.outage, Keep: f.retention}, errors.Join(errs...)
}

// figure is a figure with at most three digits behind the point.
func figure(v float64) string { return strconv.FormatFloat(math.Round(v*1000)/1000, 'f', -1, 64) }

// showSize prints a plan, and what each of its figures comes from.
func (a *app) showSize(l sizing.Load, p sizing.Plan) error {
	bytes := func(n float64) string { return medispatcher.Size(n).About() }
	t := cli.Table{Header: []string{"WHAT", ">ABOUT", "BECAUSE"}}
	t.Add("deliveries", figure(p.Deliveries)+"/s", fmt.Sprintf("%s messages/s of %s, subscriptions of each: %s", figure(l.Rate), bytes(float64(l.Body)), figure(l.FanOut)))
	t.Add("requests in flight", strconv.Itoa(p.InFlight), "workers answer after "+medispatcher.ShortDuration(l.Answer)+"; so many slots, concurrency × dispatchers, are needed")
	t.Add("dispatchers", strconv.Itoa(p.Dispatchers), fmt.Sprintf("they use %.2f cores together; one of them may fail", p.Cores))
	why, spread := fmt.Sprintf("it uses %.2f of its core; no cluster is needed", p.RedisCores), "one master needs one"
	if p.Masters > 1 {
		why = fmt.Sprintf("they use %.2f cores together; each runs commands on one", p.RedisCores)
		spread = "four a master at least, so that each has its share"
	}
	t.Add("masters of Redis", strconv.Itoa(p.Masters), why)
	t.Add("MEDIS_PARTITIONS", strconv.Itoa(p.Partitions), spread)
	why = bytes(p.Memory.Waiting) + " wait when all workers were away for " + medispatcher.ShortDuration(l.Away)
	if l.Keep > 0 {
		why += ", " + bytes(p.Memory.Archive) + " are in the archive"
	}
	t.Add("memory of Redis", bytes(p.Memory.Total), why)
	t.Add("log of Redis", bytes(p.Log)+"/s", "with appendonly yes, before it is rewritten")
	t.Add("network from Redis", bytes(p.Network)+"/s", "each body leaves once for the fan-out and once for each subscription")
	if err := t.Write(a.stdout); err != nil {
		return err
	}
	if p.Body {
		fmt.Fprintln(a.stdout, "\nBodies are most of the work of Redis. Where they can be fetched elsewhere, publish a reference.")
	}
	_, err := fmt.Fprintln(a.stdout, "\nGive Redis twice the memory: it needs that at worst while it rewrites its log.")
	return err
}
