package recover

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"
)

// DataLog writes a DATA log to a file or to stdout. It is safe for concurrent use. A write may block as long
// as a disk hangs, or the reader of a pipe.
type DataLog struct {
	path string // empty: w is stdout, which is neither opened nor closed here

	mu   sync.Mutex
	w    io.Writer   // nil: the file could not be opened yet
	f    *os.File    // nil: w is no file
	info os.FileInfo // of f
	// torn: the file does not end with a line break, so the next line has to begin with one.
	torn bool
}

// openWithin bounds how long a start waits for a file system that hangs.
const openWithin = 5 * time.Second

// Stdout makes a DATA log that writes to stdout.
func Stdout(stdout io.Writer) *DataLog {
	f, _ := stdout.(*os.File)
	return &DataLog{w: stdout, f: f}
}

// OpenDataLog opens a file to append to. If it is a FIFO without a reader, it is opened by the first line
// that is written when there is one.
func OpenDataLog(path string) (*DataLog, error) {
	d := &DataLog{path: path}
	opened := make(chan error, 1)
	go func() { opened <- d.open() }()
	timer := time.NewTimer(openWithin)
	defer timer.Stop()
	var err error
	select {
	case err = <-opened:
	case <-timer.C:
		err = fmt.Errorf("open %s: it did not answer within %s", path, openWithin)
	}
	if err != nil && !errors.Is(err, errNoReader) {
		return nil, fmt.Errorf("DATA log: %w; set MEDIS_DATA_LOG to a file that can be written, or to - for stdout", err)
	}
	return d, nil
}

// errNoReader is the error of opening a FIFO without a reader. Without O_NONBLOCK, opening it would block
// until there is one.
const errNoReader = syscall.ENXIO

// open opens the file at the path, and closes the one before.
func (d *DataLog) open() error {
	flags := os.O_APPEND | os.O_CREATE | os.O_WRONLY | syscall.O_NONBLOCK
	if !strings.HasPrefix(d.path, "/dev/") && !strings.HasPrefix(d.path, "/proc/") { // /dev/stdout is a link
		flags |= noFollow
	}
	f, err := os.OpenFile(d.path, flags, 0o600) // messages may be confidential
	if info, lerr := os.Lstat(d.path); err != nil && lerr == nil && info.Mode()&os.ModeSymlink != 0 {
		return fmt.Errorf("%s is a symbolic link, and somebody else may have made it; name the file itself", d.path)
	}
	if err != nil {
		return err
	}
	info, err := f.Stat()
	if err != nil {
		return errors.Join(err, f.Close())
	}
	if d.f != nil {
		_ = d.f.Close() // all its lines are written
	}
	d.w, d.f, d.info, d.torn = f, f, info, endsTorn(d.path, info.Size())
	return nil
}

// endsTorn reports whether a file does not end with a line break: its writer was killed, or the disk was
// full.
func endsTorn(path string, size int64) bool {
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

// Encode makes the text of a line, with a line break. It sets the time.
func Encode(l Line) ([]byte, error) {
	l.Time = time.Now().UTC()
	text, err := json.Marshal(l)
	if err != nil {
		return nil, fmt.Errorf("DATA log: %w", err)
	}
	return append(text, '\n'), nil
}

// Append writes the text of a line; n bytes of it were written. A file that was renamed or removed is created
// again, so that logrotate needs neither copytruncate nor a signal. Until that works, nothing is written.
func (d *DataLog) Append(text []byte) (n int, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.follow(); err != nil {
		return 0, fmt.Errorf("DATA log: %w", err)
	}
	if d.torn {
		text = append([]byte{'\n'}, text...)
	}
	n, err = d.w.Write(text)
	d.torn = d.torn && n == 0
	if err != nil {
		err = fmt.Errorf("DATA log: %w", err)
	}
	return n, err
}

// Sync flushes a file to the disk. For a pipe it does nothing.
func (d *DataLog) Sync() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.f == nil {
		return nil
	}
	if info, err := d.f.Stat(); err != nil || !info.Mode().IsRegular() {
		return err
	}
	return d.f.Sync()
}

// follow opens the file again if it is not the one at the path any more. It takes a microsecond, a fraction
// of the write.
func (d *DataLog) follow() error {
	if d.path == "" {
		return nil
	}
	if d.f != nil {
		if now, err := os.Stat(d.path); err == nil && os.SameFile(now, d.info) {
			return nil
		}
	}
	return d.open()
}

// Reopen creates the file again if it was renamed or removed, without waiting for the next line.
func (d *DataLog) Reopen() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.follow()
}

// Close closes the file.
func (d *DataLog) Close() error {
	if d.path == "" || d.f == nil {
		return nil
	}
	return d.f.Close()
}
