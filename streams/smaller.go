package streams

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"time"
)

// smaller makes reads of messages smaller where their answers do not come through: they may be too long for a slow line, for a proxy or
// for a limit of Redis (client-output-buffer-limit), and would be so for ever. The read after the second one that is cut off is a quarter
// as large, and so on. A single one may be a restart of Redis.
type smaller struct {
	mu    sync.Mutex
	cut   time.Time // when a read was cut off first
	most  int       // entries or bytes; 0: as many as are wanted
	since time.Time
}

const (
	// smallFor is how long it takes until reads may be twice as large again. If one of them fails, what it asked for comes late.
	smallFor = 30 * time.Second
	// smallBits is when they may be as large as ever.
	smallBits = 10
	// cutTogether: connections that break at the same time break for one reason.
	cutTogether = 20 * time.Millisecond
)

// of is how many of the wanted entries, or bytes, to read at once.
func (s *smaller) of(wanted int) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if doubled := time.Since(s.since) / smallFor; s.most > 0 && doubled < smallBits {
		return min(wanted, s.most<<doubled)
	}
	return wanted
}

// note takes note of how a read for so many ended.
func (s *smaller) note(asked int, err error) {
	if err == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	switch op, ok := errors.AsType[*net.OpError](err); {
	case ok && op.Op == "dial": // Redis is away
		s.cut, s.most = time.Time{}, 0
	case !cutOff(err):
	case s.most > 0 && now.Sub(s.since) < smallBits*smallFor, now.Sub(s.cut) < smallFor && now.Sub(s.cut) >= cutTogether:
		s.most, s.since = max(1, asked/4), now
	case now.Sub(s.cut) >= smallFor:
		s.cut, s.most = now, 0
	}
}

// orOne runs a read for so many entries, which takes nothing, and again for one if the answer does not come through.
func orOne(wanted int, read func(n int) error) error {
	err := read(wanted)
	if wanted > 1 && cutOff(err) {
		err = read(1)
	}
	return err
}

// cutOff reports whether an answer may have been on its way when its connection, or the time for it, ended.
func cutOff(err error) bool {
	if op, ok := errors.AsType[*net.OpError](err); ok {
		return op.Op != "dial"
	}
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, context.DeadlineExceeded)
}
