package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/schollz/progressbar/v3"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/cmd/internal/cli"
	rescue "github.com/solate/medispatcher/recover"
)

// recovery is one run of the command.
type recovery struct {
	*state
	planner  rescue.Planner
	dryRun   bool
	bar      *progressbar.ProgressBar
	batches  map[int]*batch               // by partition
	held     int                          // lines in them
	bytes    int                          // of their bodies
	kept     map[keptIn]map[string]string // entries by token; each partition is read when a line needs it
	tally    map[rescue.Code]*tally
	foreign  int // lines of other programs
	problems int
}

// tally counts what became of the lines of one code.
type tally struct {
	Recovered int `json:"recovered"` // with --dry-run: that would be
	Already   int `json:"already"`
	Nothing   int `json:"nothing"` // there is nothing to do
	Failed    int `json:"failed"`
}

// keptIn is a place in a partition.
type keptIn struct {
	place     medispatcher.KeptPlace
	partition int
}

// batch is what goes to one partition in one step.
type batch struct {
	once []medispatcher.Once
	from []origin
}

// origin is the line that a message came from.
type origin struct {
	code rescue.Code
	file string
	line int
}

func (r *recovery) count(code rescue.Code) *tally {
	t := r.tally[code]
	if t == nil {
		t = &tally{}
		r.tally[code] = t
	}
	return t
}

// progressReader shows how far a file is read.
type progressReader struct {
	io.Reader
	bar *progressbar.ProgressBar
}

func (p progressReader) Read(b []byte) (int, error) {
	n, err := p.Reader.Read(b)
	_ = p.bar.Add(n)
	return n, err
}

func (r *recovery) read(ctx context.Context, f dataLogFile) error {
	lines := rescue.NewReader(progressReader{f, r.bar}, int64(r.cfg.MaxBody))
	for {
		l, err := lines.Next()
		at := origin{l.Code, f.name, lines.N()}
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(err, io.EOF):
			return nil
		case errors.Is(err, rescue.ErrForeign):
			r.foreign++
		case errors.Is(err, rescue.ErrTorn):
			at.code = damaged
			r.problem(at, err.Error())
		case errors.Is(err, rescue.ErrLongLine):
			at.code = damaged
			r.problem(at, err.Error()+"; raise it here and at the dispatchers, and recover the file again")
		case err != nil:
			return fmt.Errorf("cannot read %s after line %d: %w", f.name, lines.N(), err)
		default:
			if err := r.line(ctx, &l, at); err != nil {
				return err
			}
		}
	}
}

// damaged stands in place of a code in the summary.
const damaged rescue.Code = "damaged"

func (r *recovery) problem(at origin, text string) {
	r.count(at.code).Failed++
	if r.problems++; r.problems > recoverProblems {
		return
	}
	what := ""
	if at.code != damaged {
		what = string(at.code) + ": "
	}
	_ = r.bar.Clear()
	_, _ = fmt.Fprintf(r.stderr, "medispatcher: %s line %d: %s%s\n", cli.Clean(at.file), at.line, what, cli.Clean(text))
}

func (r *recovery) line(ctx context.Context, l *rescue.Line, at origin) error {
	plan := r.planner.Plan(l)
	switch {
	case plan.Problem != "":
		r.problem(at, plan.Problem)
		return nil
	case plan.Once == nil:
		r.count(at.code).Nothing++
		return nil
	}
	if at := (keptIn{plan.Once.KeptIn, plan.Partition}); at.place != "" {
		if r.kept[at] == nil {
			tokens, err := r.store.KeptTokens(ctx, at.place, at.partition)
			if err != nil {
				return err
			}
			r.kept[at] = tokens
		}
		plan.Once.Kept = r.kept[at][plan.Once.Token]
	}
	b := r.batches[plan.Partition]
	if b == nil {
		b = &batch{}
		r.batches[plan.Partition] = b
	}
	b.once, b.from = append(b.once, *plan.Once), append(b.from, at)
	r.held++
	r.bytes += len(plan.Once.Message.Body)
	if r.held >= recoverBatch || r.bytes >= recoverBytes {
		return r.flush(ctx)
	}
	return nil
}

// flush writes what was gathered.
func (r *recovery) flush(ctx context.Context) error {
	for p, b := range r.batches {
		step, cancel := context.WithTimeout(ctx, stepWithin)
		done, err := r.store.WriteOnce(step, p, b.once, medispatcher.Remembered, r.dryRun)
		if err == nil {
			r.ring(step, p, b, done)
		}
		cancel()
		if err != nil {
			return r.stopped(b.from[0], err)
		}
		var stop error
		for i, d := range done {
			t := r.count(b.from[i].code)
			switch {
			case errors.Is(d.Err, medispatcher.ErrGone):
				r.problem(b.from[i], r.explain(d.Err).Error())
			case d.Err != nil: // Redis fails, so the next lines would fail as well
				if stop == nil {
					stop = r.stopped(b.from[i], d.Err)
				}
			case d.Result == medispatcher.OnceWritten:
				t.Recovered++
			case d.Result == medispatcher.OnceThere:
				t.Nothing++
			default:
				t.Already++
			}
		}
		if stop != nil {
			return stop
		}
	}
	clear(r.batches)
	r.held, r.bytes = 0, 0
	return nil
}

func (r *recovery) stopped(at origin, err error) error {
	return fmt.Errorf("stopped at line %d of %s; run it again, which leaves alone what is recovered already: %w", at.line, cli.Clean(at.file), r.explain(err))
}

// ring tells the dispatchers which channels were written to.
func (r *recovery) ring(ctx context.Context, p int, b *batch, done []medispatcher.OnceDone) {
	subs := map[string]bool{}
	for i, d := range done {
		if sub := b.once[i].Subscription; sub != "" && d.Result == medispatcher.OnceWritten && !r.dryRun {
			subs[sub] = true
		}
	}
	if len(subs) > 0 {
		_ = r.store.Ring(ctx, p, slices.Sorted(maps.Keys(subs))) // a hint
	}
}

// summary prints what became of the lines. err is why reading stopped.
func (r *recovery) summary(err error) error {
	word := "RECOVERED"
	if r.dryRun {
		word = "TO RECOVER"
	}
	t := cli.Table{Header: []string{"CODE", ">" + word, ">ALREADY", ">NOTHING TO DO", ">FAILED"}}
	failed := 0
	for _, code := range slices.SortedFunc(maps.Keys(r.tally), func(a, b rescue.Code) int { return cmp.Compare(strings.ToUpper(string(a)), strings.ToUpper(string(b))) }) {
		n := r.tally[code]
		failed += n.Failed
		t.Add(string(code), fmt.Sprint(n.Recovered), fmt.Sprint(n.Already), fmt.Sprint(n.Nothing), fmt.Sprint(n.Failed))
	}
	switch {
	case r.json:
		if err := cli.WriteJSON(r.stdout, map[string]any{"codes": r.tally, "foreign": r.foreign, "dry_run": r.dryRun}, ""); err != nil {
			return err
		}
	case len(r.tally) > 0:
		if err := t.Write(r.stdout); err != nil {
			return err
		}
	}
	switch {
	case r.json:
	case r.foreign > 0:
		_, _ = fmt.Fprintf(r.stdout, "%s of other programs skipped\n", cli.Counted(int64(r.foreign), "line"))
	case len(r.tally) == 0 && err == nil:
		_, _ = fmt.Fprintln(r.stdout, "nothing in it")
	}
	switch {
	case err != nil:
		return err
	case failed > recoverProblems:
		return fmt.Errorf("%s not recovered, the first %d are above; correct them and run it again", cli.Counted(int64(failed), "line"), recoverProblems)
	case failed > 0:
		return fmt.Errorf("%s not recovered; correct what is named above and run it again", cli.Counted(int64(failed), "line"))
	}
	return nil
}

// noteDeed adds to the audit trail what was recovered.
func (r *recovery) noteDeed(ctx context.Context, failed error) {
	counts := map[string]int64{}
	for _, n := range r.tally {
		counts["recovered"] += int64(n.Recovered)
		counts["failed"] += int64(n.Failed)
	}
	if failed != nil && counts["recovered"] == 0 {
		return // nothing was done
	}
	r.note(ctx, medispatcher.Deed{What: medispatcher.DeedRecover, Counts: counts}, failed)
}
