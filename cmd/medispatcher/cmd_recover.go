package main

import (
	"bufio"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/cmd/internal/cli"
	rescue "github.com/solate/medispatcher/recover"
)

const (
	// A batch is what one step in Redis writes.
	recoverBatch = 100
	recoverBytes = 4 << 20
	// recoverProblems is how many problems are printed one by one.
	recoverProblems = 100
)

func (a *app) recoverCommand() *cobra.Command {
	var dryRun bool
	cmd := &cobra.Command{
		Use:     "recover FILE…",
		GroupID: groupOperate,
		Short:   "Publish again what a DATA log holds",
		Long: `Publish again what a DATA log (MEDIS_DATA_LOG) holds; - is stdin. What becomes of a line:

  DECODERR, RECOVFAILDECODE, RECOVFAILASSERT
                         published, if it can be decoded now (after MEDIS_MAX_BODY was raised)
  UNROUTABLE             published, if a subscription wants its topic now
  RECOVFAILBACK          published, unless a dispatcher did so in the meantime
  REDISTFAIL, DROPPED    put into the channel of the subscription that did not get it
  KICKFAIL               put into its channel, unless it is still there
  DELFAIL, SENT, RESENT  nothing: they were delivered

What Redis keeps as well, unrouted or in the quarantine, is taken out there; what was replayed
from there is not recovered. The command may be interrupted, and is safe to run twice: each line
is recovered once, and Redis remembers that for 30 days. Lines of other programs are skipped and
counted.`,
		Example: `  medispatcher recover --dry-run /var/log/medispatcher/data.log
  medispatcher recover /var/log/medispatcher/data.log* # those that logrotate compressed by gzip, too
  docker logs dispatcher 2>&1 | medispatcher recover -`,
		Args: cli.AtLeast(1, -1, "FILE"),
		RunE: a.withState(func(ctx context.Context, s *state, args []string) error {
			return s.recoverFiles(ctx, args, dryRun)
		}),
	}
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "only say what would be done")
	return a.jsonFlag(cmd, "print JSON")
}

// dataLogFile is a DATA log that is read.
type dataLogFile struct {
	name string
	io.Reader
	close func() error
	size  int64 // -1: unknown
}

// openLogs opens files. Only what a file holds now is read, because recovering may make a dispatcher append to it.
func (s *state) openLogs(ctx context.Context, names []string) (list []dataLogFile, size int64, err error) {
	for _, name := range names {
		if name == "-" {
			in := interruptible(ctx, s.stdin)
			list = append(list, dataLogFile{"stdin", in, in.Close, -1})
			continue
		}
		f, err := os.Open(name)
		if err != nil {
			return list, 0, cli.Usagef("%v", err)
		}
		list = append(list, dataLogFile{name, nil, f.Close, -1})
		info, err := f.Stat()
		if err != nil {
			return list, 0, err
		}
		if info.IsDir() {
			return list, 0, cli.Usagef("%s is a directory; name the files in it", name)
		}
		last := &list[len(list)-1]
		if !info.Mode().IsRegular() {
			last.Reader = f
		} else if err := last.read(ctx, f, info.Size()); err != nil {
			return list, 0, err
		}
	}
	for _, src := range list {
		if src.size < 0 {
			return list, -1, nil
		}
		size += src.size
	}
	return list, size, nil
}

// wholeLines reads what a file holds, and the rest of its last line if somebody is writing that.
type wholeLines struct {
	ctx  context.Context //nolint:containedctx // a reader has no other way to hear of its end
	file io.Reader
	left int64 // bytes of what the file holds
	end  byte  // the last one
	by   time.Time
}

// lineWithin is how long the rest of a line is waited for.
const lineWithin = time.Second

func (w *wholeLines) Read(b []byte) (int, error) {
	if w.left > 0 {
		n, err := w.file.Read(b[:min(int64(len(b)), w.left)])
		if w.left -= int64(n); n > 0 {
			w.end = b[n-1]
		}
		return n, err
	}
	for w.end != '\n' {
		n, err := w.file.Read(b[:1])
		if n > 0 {
			w.end = b[0]
			return n, nil
		}
		if w.by.IsZero() {
			w.by = time.Now().Add(lineWithin)
		}
		if !errors.Is(err, io.EOF) || time.Now().After(w.by) || w.ctx.Err() != nil {
			return 0, err
		}
		medispatcher.Sleep(w.ctx, lineWithin/20)
	}
	return 0, io.EOF
}

// read has what a file of that many bytes holds read. One that logrotate compressed is unpacked, and nobody knows how long it is then.
func (f *dataLogFile) read(ctx context.Context, file *os.File, size int64) error {
	var start [2]byte
	_, _ = file.ReadAt(start[:], 0) // whoever reads the rest hears of an error
	if start != [2]byte{0x1f, 0x8b} {
		f.Reader, f.size = &wholeLines{ctx: ctx, file: file, left: size, end: '\n'}, size
		return nil
	}
	unpacked, err := gzip.NewReader(bufio.NewReader(io.LimitReader(file, size)))
	if err != nil {
		return fmt.Errorf("%s: %w", f.name, err)
	}
	f.Reader = unpacked
	return nil
}

func (s *state) recoverFiles(ctx context.Context, names []string, dryRun bool) error {
	files, size, err := s.openLogs(ctx, names)
	defer func() {
		for _, f := range files {
			_ = f.close()
		}
	}()
	if err != nil {
		return err
	}
	if err := s.mayPublish(); err != nil && !dryRun {
		return err
	}
	snapshot, err := s.registry.Latest(ctx)
	if err != nil {
		return err
	}
	r := &recovery{
		state: s, dryRun: dryRun, tally: map[rescue.Code]*tally{}, batches: map[int]*batch{}, kept: map[keptIn]map[string]string{},
		bar: s.progress(size, "recovering", progressbar.OptionShowBytes(true)),
		planner: rescue.Planner{
			Partitions: s.store.Spread(), All: s.store.Partitions(), MaxBody: int64(s.cfg.MaxBody), Now: time.Now,
			Exists: func(sub string) bool { return snapshot.Subs.Get(sub) != nil },
			Wanted: func(topic string) bool { return len(snapshot.Router().Route(topic)) > 0 },
		},
	}
	for _, f := range files {
		if err = r.read(ctx, f); err != nil {
			break
		}
	}
	_ = r.bar.Finish()
	if err == nil {
		err = r.flush(ctx)
	}
	if !dryRun {
		r.noteDeed(ctx, err)
	}
	return r.summary(err)
}
