package main

import (
	"errors"
	"io"
	"log"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/solate/medispatcher/cmd/medispatcher/outlet"
	rescue "github.com/solate/medispatcher/recover"
)

const (
	// outletLines and the sizes bound what waits while nobody reads a log.
	outletLines  = 16 << 10
	logBytes     = 4 << 20
	dataLogBytes = 16 << 20 // its lines hold whole messages
	// flushWithin is how long an ending process waits for each of its logs.
	flushWithin = time.Second
)

// outlets are what a command that runs for long writes to, instead of stdout and stderr.
type outlets struct {
	stdout, stderr *outlet.Outlet
}

// stream is stdout or stderr behind an outlet.
type stream struct {
	*outlet.Outlet
	under io.Writer // where it ends
}

// Under is where it ends, for cli.IsTerminal.
func (s stream) Under() io.Writer { return s.under }

// unblock puts outlets in front of stdout and stderr. A reader that stops reading then blocks nothing, and one
// that goes away does not end the process: EPIPE is an error like any other.
func (a *app) unblock() {
	signal.Ignore(syscall.SIGPIPE)
	a.outlets = &outlets{
		stdout: outletOf(rescue.Stdout(a.stdout), "stdout", a.logger),
		stderr: outlet.New(outlet.Config{
			Write: a.stderr.Write, Bytes: logBytes, Lines: outletLines,
			Back: func(lost int64) { a.logger().Warn("lines of the log were lost", "lines", lost) },
		}),
	}
	a.stdout, a.stderr = stream{a.outlets.stdout, a.stdout}, stream{a.outlets.stderr, a.stderr}
	log.SetOutput(a.stderr) // of libraries, which may not wait for a reader either
}

// logger is the log of the command that runs. The outlets report their own troubles there.
func (a *app) logger() *slog.Logger {
	if l := a.log.Load(); l != nil {
		return l
	}
	return slog.New(slog.DiscardHandler)
}

// flush writes what waits in the outlets, within a bound.
func (a *app) flush() {
	if a.outlets == nil {
		return
	}
	if lost, err := a.outlets.stdout.Close(flushWithin); lost > 0 {
		a.logger().Error("lines of stdout are lost", "lines", lost, "error", err)
	}
	_, _ = a.outlets.stderr.Close(flushWithin)
	log.SetOutput(os.Stderr)
}

// openDataLog puts an outlet in front of the DATA log. If that is stdout, its outlet may be there already, and ends with
// the process.
func (e *environment) openDataLog() (o *outlet.Outlet, end func(), err error) {
	file := rescue.Stdout(e.stdout)
	switch {
	case e.cfg.DataLog != "-":
		if file, err = rescue.OpenDataLog(e.cfg.DataLog); err != nil {
			return nil, nil, err
		}
	case e.outlets != nil:
		if isNull(os.Stdout) {
			e.log.Warn("the DATA log is stdout, and that is "+os.DevNull+": a message that drop.action=log takes out of Redis is lost", "do", "set MEDIS_DATA_LOG to a file")
		}
		return e.outlets.stdout, func() {}, nil
	}
	o = outletOf(file, e.cfg.DataLog, func() *slog.Logger { return e.log })
	return o, func() {
		if lost, err := o.Close(flushWithin); lost > 0 {
			e.log.Error("lines of the DATA log are lost", "lines", lost, "error", errors.Join(err, o.State().Problem))
		}
	}, nil
}

// isNull reports whether what is written to a file is thrown away. A stdout that was closed at the start is such a file.
func isNull(file *os.File) bool {
	is, err := file.Stat()
	null, err2 := os.Stat(os.DevNull)
	return err == nil && err2 == nil && os.SameFile(is, null)
}

// outletOf puts an outlet in front of a DATA log.
func outletOf(file *rescue.DataLog, name string, log func() *slog.Logger) *outlet.Outlet {
	return outlet.New(outlet.Config{
		Write: file.Append, Sync: file.Sync, Close: file.Close, Bytes: dataLogBytes, Lines: outletLines,
		Reopen: func() error {
			if err := file.Reopen(); err != nil {
				return err
			}
			log().Info("SIGHUP: the DATA log is opened again if it was renamed", "file", name)
			return nil
		},
		Failing: func(err error) {
			log().Error("the DATA log cannot be written; its lines wait, and are lost when too many wait", "file", name, "error", err)
		},
		Back: func(lost int64) {
			log().Warn("the DATA log is written again; lines of it were lost", "file", name, "lines", lost)
		},
	})
}
