package main

import (
	"time"

	rescue "github.com/solate/medispatcher/recover"
)

// keepWithin bounds how long a message waits for its line, whatever the disk or the reader of
// the DATA log does. Only that message waits.
const keepWithin = 1500 * time.Millisecond

// keep writes a line to the DATA log, some time. Redis has the message, or it was delivered.
func (d *daemon) keep(line rescue.Line) {
	if text, err := rescue.Encode(line); err == nil {
		d.dataLog.Put(text, string(line.Code))
	} else {
		d.log.Error("a line of the DATA log cannot be made", "code", line.Code, "entry", line.Entry, "error", err)
	}
}

// keepNow writes a line that is all there will be of a message. Without an error it is written
// and, where the DATA log is a file, on the disk.
func (d *daemon) keepNow(line rescue.Line) error {
	text, err := rescue.Encode(line)
	if err != nil {
		return err
	}
	return d.dataLog.Keep(text, string(line.Code), keepWithin)
}
