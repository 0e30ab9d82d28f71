package http1

import (
	"bytes"
	"log/slog"
	"sync"
	"time"
)

const (
	// unaskedEvery spaces the warnings about one host.
	unaskedEvery = time.Minute
	// unaskedWait bounds the look at the bytes. They have arrived; only TLS may
	// wait for the rest of a record.
	unaskedWait = time.Millisecond
)

// unasked warns of bytes that a server sends without a request. They are never taken for the
// response to the next request, because their connection is closed.
type unasked struct {
	log *slog.Logger

	mu   sync.Mutex
	last map[connKey]time.Time // of the warnings
}

// before finds out whether the server merely closed an idle connection or sent
// something, of which n bytes are in buf. The connection cannot be used afterwards.
func (u *unasked) before(c *conn, buf []byte, n int) {
	if n == 0 {
		_ = c.raw.SetReadDeadline(time.Now().Add(unaskedWait))
		n, _ = c.rw.Read(buf)
	}
	u.behind(c, buf[:n])
}

// behind warns of bytes that came behind an answer, if there are any. Their connection is about to be closed.
func (u *unasked) behind(c *conn, more []byte) {
	start, _, _ := bytes.Cut(more, []byte("\r\n"))
	if len(start) == 0 || !u.due(c.key, time.Now()) {
		return
	}
	scheme := "http://"
	if c.key.tls {
		scheme = "https://"
	}
	u.log.Warn("a worker sent what no request asked for; its connection is closed",
		"url", scheme+c.key.addr, "begins", shorten(string(start)))
}

// due reports whether a host may be warned about again.
func (u *unasked) due(key connKey, now time.Time) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	if last, told := u.last[key]; told && now.Sub(last) < unaskedEvery {
		return false
	}
	if u.last == nil || len(u.last) >= 1000 {
		u.last = map[connKey]time.Time{}
	}
	u.last[key] = now
	return true
}
