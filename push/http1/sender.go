package http1

import (
	"context"
	"sync"
	"time"
)

const (
	// afterWriteError is how long to wait for an answer after the request could
	// not be written. The answer is already there or will never come.
	afterWriteError = time.Second
	// lookAfter is how long a connection may rest before it is looked at again. A look costs a system call.
	lookAfter = 5 * time.Millisecond
)

// Sender sends one request after another, and keeps its connection in between. One goroutine at a time may use it. When
// there is nothing to send it must be released.
type Sender struct {
	client *Client
	ctx    context.Context //nolint:containedctx // the life of what is sent
	buf    *buffer         // nil when released
	busy   bool            // in Post; still set after a panic: then nobody knows the state of the connection
	status int             // see Status
	stop   func() bool     // ends the watch on ctx; nil: there is none

	mu   sync.Mutex
	conn *conn // set under mu by the goroutine that uses the sender
	cut  bool  // ctx has ended
}

// Post sends a request and reads its answer. It ends at the deadline, which must be set: never before it, and at most 100
// ms after it. An error with a status means that the header came, and that the wanted part of the body broke off.
//
// Errors satisfy errors.Is with context.DeadlineExceeded at the deadline, with context.Canceled when the sender's context
// ended, and with [ErrClosed], [ErrInvalidRequest], [ErrDenied], [ErrHeaderTooLarge] or [ErrMalformedResponse] where these
// apply. [PhaseOf] tells how far the request had come, and [IsShortage] whether this machine is to blame.
func (s *Sender) Post(r *Request, deadline time.Time) (Answer, error) {
	s.status = 0
	now := time.Now()
	addr := r.To.key.addr
	switch {
	case !all(r.Query, uriByte):
		return Answer{}, invalidf("query holds a space or a control character: escape it")
	case s.ctx.Err() != nil || s.client.isClosed():
		return Answer{}, s.fail(PhaseConnect, "send to", addr, ErrClosed)
	case !now.Before(deadline):
		return Answer{}, s.fail(PhaseConnect, "send to", addr, context.DeadlineExceeded)
	}
	if s.busy {
		s.drop()
	}
	if s.buf == nil {
		s.buf = buffers.Get().(*buffer)
	}
	s.busy = true
	a, again, err := s.try(r, deadline, now, r.Fresh)
	if again {
		a, _, err = s.try(r, deadline, time.Now(), true)
	}
	s.busy = false
	if r.Fresh && err != nil && a.Status == 0 && s.ctx.Err() == nil {
		// A server that has as many connections as it takes refuses each new one while those rest here.
		if c := s.client.pool.takeLongest(r.To.key); c != nil {
			c.close()
		}
	}
	return a, err
}

// Status is the status of the last request's answer, 0 if no header came: for those who survive a panic of Post.
func (s *Sender) Status() int { return s.status }

// Release gives up the connection, to the pool if another request may use it. The sender may be used again.
func (s *Sender) Release() {
	if s.busy {
		s.drop()
	} else {
		s.giveBack(time.Now())
		if s.buf != nil {
			s.buf.release()
		}
	}
	s.buf, s.busy = nil, false
	if s.stop != nil {
		s.stop()
		s.stop = nil
	}
}

// try sends the request on one connection, always a new one if fresh. again tells that it may be sent once more, because
// the connection was a reused one and dead.
func (s *Sender) try(r *Request, deadline, now time.Time, fresh bool) (a Answer, again bool, err error) {
	once := r.To.servesOnce(now)
	if once {
		s.drop()
	}
	c, err := s.take(r.To, deadline, now, fresh || once)
	if err != nil {
		return a, false, err
	}
	reused := !c.used.IsZero()
	if !reused && r.Made != nil {
		r.Made()
	}
	var long *sending
	var came came
	var werr error
	if len(r.Body) > MaxInline {
		long = startSending(c, r.appendHead(nil), r.Body)
	} else if came.n, werr, came.err = s.buf.send(c, r); werr != nil {
		// The server may have answered and closed before it read everything.
		c.hurry(afterWriteError)
	}
	a, keep, again, err := s.receive(c, r, reused, long, werr, came)
	c.used = time.Now()
	if c.served++; c.served == 2 && err == nil {
		r.To.kept.Store(true)
	}
	if !keep || once || werr != nil || long != nil && !long.sent(min(sendGrace, time.Until(deadline))) {
		s.drop()
	}
	long.end()
	return a, again, err
}

// take gets a connection to a target, ready for a request: the sender's own or an idle one, if that is still alive and a new
// one is not asked for.
func (s *Sender) take(to *Target, deadline, now time.Time, fresh bool) (*conn, error) {
	key := to.key
	if c := s.conn; c != nil && (fresh || c.key != key) {
		s.giveBack(now)
	} else if c != nil {
		c.endWithin(deadline)
		if s.usable(c, now, now.Sub(c.used) > lookAfter || to.leaves(now)) {
			return c, nil
		}
	}
	for !fresh {
		c := s.client.pool.get(key)
		if c == nil {
			break
		}
		s.hold(c)
		c.end(deadline)
		if s.usable(c, now, true) {
			return c, nil
		}
	}
	c, phase, err := s.client.dial(s.ctx, key, deadline)
	if err != nil {
		return nil, s.fail(phase, "connect to", key.addr, err)
	}
	s.hold(c)
	c.end(deadline)
	return c, nil
}

// usable reports whether the connection that the sender holds may serve another request. One that may not is closed.
func (s *Sender) usable(c *conn, now time.Time, look bool) bool {
	if !now.Before(c.expires) {
		s.drop()
		return false
	}
	if n, ok := c.alive(s.buf.b[:], look); !ok {
		s.client.unasked.before(c, s.buf.b[:], n)
		s.drop()
		return false
	}
	return true
}

// hold makes c the sender's, which is closed when ctx ends.
func (s *Sender) hold(c *conn) {
	s.mu.Lock()
	s.conn = c
	cut := s.cut
	s.mu.Unlock()
	if cut {
		c.close()
	}
	if s.stop == nil && s.ctx.Done() != nil {
		// Closing, not a past deadline: a closed connection cannot be mistaken for a usable one.
		s.stop = context.AfterFunc(s.ctx, func() {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.cut = true
			if s.conn != nil {
				s.conn.close()
			}
		})
	}
}

// letGo takes the connection from the sender. good tells that it was not closed by the end of ctx.
func (s *Sender) letGo() (c *conn, good bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, s.conn = s.conn, nil
	return c, !s.cut
}

// drop closes the connection, if there is one.
func (s *Sender) drop() {
	if c, _ := s.letGo(); c != nil {
		c.close()
	}
}

// giveBack puts the connection into the pool, if there is one.
func (s *Sender) giveBack(now time.Time) {
	switch c, good := s.letGo(); {
	case c == nil:
	case good && now.Before(c.expires):
		s.client.pool.put(c, now)
	default:
		c.close()
	}
}
