package main

import (
	"io"
	"log/slog"
	"os"
	"time"

	"github.com/lmittmann/tint"
	"github.com/mattn/go-isatty"
)

// newLogger writes to w, which is stderr, so that what a command prints can be piped. colour
// is off where NO_COLOR (no-color.org) asks for that.
func newLogger(w io.Writer, format, level string, colour bool) *slog.Logger {
	var lowest slog.Level
	_ = lowest.UnmarshalText([]byte(level)) // an unknown one was reported; info is shown
	terminal := isTerminal(w)
	if format == "auto" {
		format = "json"
		if terminal {
			format = "tint"
		}
	}
	options := &slog.HandlerOptions{Level: lowest}
	switch format {
	case "tint":
		return slog.New(tint.NewTextHandler(w, &tint.Options{Level: lowest, TimeFormat: time.TimeOnly, NoColor: !terminal || !colour}))
	case "text":
		return slog.New(slog.NewTextHandler(w, options))
	}
	return slog.New(slog.NewJSONHandler(w, options))
}

// isTerminal reports whether a person sees what is written to w, or types what is read from it.
func isTerminal(w any) bool {
	if s, ok := w.(stream); ok {
		w = s.under
	}
	f, ok := w.(*os.File)
	return ok && isatty.IsTerminal(f.Fd())
}
