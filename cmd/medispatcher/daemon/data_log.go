package daemon

import (
	"log/slog"
	"time"

	"github.com/solate/medispatcher/cmd/medispatcher/outlet"
	rescue "github.com/solate/medispatcher/recover"
)

// keepWithin bounds how long a message waits for its line, whatever the disk or the reader of
// the DATA log does. Only that message waits.
const keepWithin = 1500 * time.Millisecond

// dataLog writes the lines of the DATA log.
type dataLog struct {
	out *outlet.Outlet
	log *slog.Logger
}

// put queues a line, and does not block. No message is lost with the line: Redis has it, or it was delivered.
func (l *dataLog) put(line rescue.Line) {
	if text, err := rescue.Encode(line); err == nil {
		l.out.Put(text, string(line.Code))
	} else {
		l.log.Error("a line of the DATA log cannot be encoded", "code", line.Code, "entry", line.Entry, "error", err)
	}
}

// keep writes a line that will be the only copy of a message. Once it returns nil, the line is written and, if the
// DATA log is a file, on the disk.
func (l *dataLog) keep(line rescue.Line) error {
	text, err := rescue.Encode(line)
	if err != nil {
		return err
	}
	return l.out.Keep(text, string(line.Code), keepWithin)
}
