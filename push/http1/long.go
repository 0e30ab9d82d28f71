package http1

import (
	"fmt"
	"net"
	"runtime/debug"
	"time"
)

// sendGrace is how long a finished answer waits for its request to be written whole, before the connection is given up.
// Usually the writer is done and has merely not been scheduled yet.
const sendGrace = 50 * time.Millisecond

// sending is a long request, written by a goroutine while its answer is read: a server may answer early without reading
// (413). Its methods may be called on nil, which stands for a request that was sent at once.
type sending struct {
	done chan struct{} // closed when the goroutine ends

	// Valid once done is closed.
	err      error  // what kept the request from being sent whole
	panicked string // a panic of the goroutine
}

// startSending begins to send a request.
func startSending(c *conn, head, body []byte) *sending {
	s := &sending{done: make(chan struct{})}
	go func() {
		defer close(s.done)
		defer func() {
			if v := recover(); v != nil {
				s.panicked = fmt.Sprintf("%v\n%s", v, debug.Stack())
				c.close() // nobody can finish this request: wake the reader
			}
		}()
		_, s.err = (&net.Buffers{head, body}).WriteTo(c.rw)
	}()
	return s
}

// sent reports whether the request is written whole, and gives it some time to be.
func (s *sending) sent(grace time.Duration) bool {
	if s == nil {
		return true
	}
	timer := time.NewTimer(grace)
	defer timer.Stop()
	select {
	case <-s.done:
	case <-timer.C:
		select {
		case <-s.done:
		default:
			return false
		}
	}
	return s.err == nil && s.panicked == ""
}

// end waits for the goroutine. Its request is sent, or its connection closed. A panic of it goes on in the caller.
func (s *sending) end() {
	if s == nil {
		return
	}
	<-s.done
	if s.panicked != "" {
		panic(s.panicked)
	}
}
