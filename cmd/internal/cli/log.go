package cli

import (
	"io"
	"log/slog"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/lmittmann/tint"
	"github.com/mattn/go-isatty"
)

// NewLogger writes to w, which is stderr, so that what a command prints can be piped. format and level are
// MEDIS_LOG_FORMAT and MEDIS_LOG_LEVEL. There is no colour where NO_COLOR (no-color.org) asks for that.
func NewLogger(w io.Writer, format, level string, environ []string) *slog.Logger {
	colour := !slices.ContainsFunc(environ, func(kv string) bool {
		return strings.HasPrefix(kv, "NO_COLOR=") && kv != "NO_COLOR="
	})
	var lowest slog.Level
	_ = lowest.UnmarshalText([]byte(level)) // an unknown one was reported; info is shown
	terminal := IsTerminal(w)
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

// IsTerminal reports whether a person sees what is written to w, or types what is read from it. A writer in
// front of another one returns that one from its method Under.
func IsTerminal(w any) bool {
	if s, ok := w.(interface{ Under() io.Writer }); ok {
		w = s.Under()
	}
	f, ok := w.(*os.File)
	return ok && isatty.IsTerminal(f.Fd())
}
