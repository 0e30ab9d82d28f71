package recover

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"
)

// DataLog writes lines. It is safe for concurrent use.
type DataLog struct {
	path string // empty: w is not ours to open and close

	mu   sync.Mutex
	w    io.Writer
	f    *os.File
	info os.FileInfo // of f
	// torn: a write failed inside a line. The next one begins on a line of its own.
	torn bool
}

// OpenDataLog opens a DATA log: a file that is appended to, or "-" for stdout.
func OpenDataLog(path string, stdout io.Writer) (*DataLog, error) {
	if path == "-" {
		return &DataLog{w: stdout}, nil
	}
	d := &DataLog{path: path}
	if err := d.open(); err != nil {
		return nil, fmt.Errorf("DATA log: %w; set MEDIS_DATA_LOG to a file that can be written, or to - for stdout", err)
	}
	return d, nil
}

// open opens the file anew, and closes the one before.
func (d *DataLog) open() error {
	f, err := os.OpenFile(d.path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600) // messages may be confidential
	if err != nil {
		return err
	}
	info, err := f.Stat()
	if err != nil {
		return errors.Join(err, f.Close())
	}
	if d.f != nil {
		_ = d.f.Close() // every line is written already
	}
	d.w, d.f, d.info, d.torn = f, f, info, endsInALine(d.path, info.Size())
	return nil
}

// endsInALine reports whether a file does not end with a line break: whoever wrote it before was
// stopped, or the disk was full.
func endsInALine(path string, size int64) bool {
	if size == 0 {
		return false
	}
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer func() { _ = f.Close() }()
	var last [1]byte
	_, err = f.ReadAt(last[:], size-1)
	return err == nil && last[0] != '\n'
}

// Write appends a line. Its time is set. A file that was renamed or removed is made anew, so
// that logrotate needs neither copytruncate nor a signal. The line is in the
// file when Write returns; it is not synced to the disk.
func (d *DataLog) Write(l Line) error {
	l.Time = time.Now().UTC()
	text, err := json.Marshal(l)
	if err != nil {
		return fmt.Errorf("DATA log: %w", err)
	}
	text = append(text, '\n')
	d.mu.Lock()
	defer d.mu.Unlock()
	moved := d.follow()
	if d.torn {
		text = append([]byte{'\n'}, text...)
	}
	n, err := d.w.Write(text)
	d.torn = err != nil && (d.torn || n > 0)
	if err = errors.Join(moved, err); err != nil {
		return fmt.Errorf("DATA log: %w", err)
	}
	return nil
}

// follow opens the file anew if it is not the one at its path any more. It costs a
// microsecond, a fraction of the write.
func (d *DataLog) follow() error {
	if d.path == "" {
		return nil
	}
	if now, err := os.Stat(d.path); err == nil && os.SameFile(now, d.info) {
		return nil
	}
	if err := d.open(); err != nil {
		return fmt.Errorf("the file was renamed or removed and cannot be made anew; the line is in the former one, if that is still there: %w", err)
	}
	return nil
}

// Reopen makes the file anew now if it was renamed or removed, without waiting for a line.
func (d *DataLog) Reopen() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.follow()
}

// Close closes the file.
func (d *DataLog) Close() error {
	if d.f == nil {
		return nil
	}
	return d.f.Close()
}
