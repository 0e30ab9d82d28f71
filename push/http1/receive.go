package http1

import (
	"errors"
	"io"
	"strconv"
	"time"
)

const (
	// drainTime bounds reading the rest of an answer that nobody wants. The bytes sent
	// with the header are there, and the rest arrives within moments. Waiting longer would cost
	// the caller more than a new connection.
	drainTime = 20 * time.Millisecond
	// minDrain is the least room, in bytes, for reading what nobody wants.
	minDrain = 512
)

// came is what was read of an answer when the request was sent.
type came struct {
	n   int // bytes in the buffer
	err error
}

// receive reads the answer. keep tells that the connection may be used again.
func (s *Sender) receive(c *conn, r *Request, reused bool, long *sending, werr error, came came) (a Answer, keep, again bool, err error) {
	buf := s.buf.b[:]
	n := came.n
	err = came.err
	for n == 0 && err == nil {
		n, err = c.rw.Read(buf)
	}
	reused = reused && s.ctx.Err() == nil && !s.client.isClosed()
	if n == 0 {
		if reused && timedOut(err) {
			// The network path to the peer may be broken, and the other idle
			// connections use the same path.
			closeAll(s.client.pool.takeHost(c.key))
		}
		if again = reused && (peerGone(err) || peerGone(werr)); again {
			now := time.Now()
			r.To.left.Store(&now)
			if c.served == 1 {
				r.To.once.Store(&now)
			}
		}
		phase := PhaseHeader
		if werr != nil {
			phase, err = PhaseRequest, werr
		} else if !long.sent(0) {
			phase = PhaseRequest
		}
		return a, false, again, s.fail(phase, "no response from", c.key.addr, err)
	}
	h, quick := parseHead(buf[:n])
	limit := s.client.opts.MaxResponseHeaderBytes
	var o *odd
	if quick = quick && int64(h.size) <= limit && h.size+min(h.length, r.keep(h.Status)) <= len(buf)-minDrain; !quick {
		if h, o, err = readOdd(s.buf, n, c.rw, limit); err != nil {
			return a, false, false, s.fail(PhaseHeader, "bad response from", c.key.addr, err)
		}
	}
	if h.Status == 408 && reused {
		// The server gave up an idle connection at the moment it was used.
		return a, false, true, s.fail(PhaseHeader, "idle for too long for", c.key.addr, errors.New(strconv.Itoa(h.Status)))
	}
	s.status = h.Status
	var whole bool
	var behind []byte
	if quick {
		whole, behind, err = s.body(c, &h, n, r.keep(h.Status))
	} else {
		whole, err = o.body(c, &h.Answer, r.keep(h.Status), s.client.opts.MaxDrain)
		behind = o.behind()
	}
	if err != nil {
		return h.Answer, false, false, s.fail(PhaseBody, "read response body from", c.key.addr, err)
	}
	if whole {
		s.client.unasked.behind(c, behind)
	}
	return h.Answer, whole && !h.closes && len(behind) == 0, false, nil
}

// body reads the body of an answer that parseHead understood, of which n bytes with the header are in the buffer. What is
// not wanted of it is drained within limits. behind is what came behind it.
func (s *Sender) body(c *conn, h *head, n, keep int) (whole bool, behind []byte, err error) {
	buf := s.buf.b[:]
	h.raw = buf[:h.size]
	end := h.size + min(keep, h.length)
	for n < end && err == nil {
		var m int
		m, err = c.rw.Read(buf[n:])
		n += m
	}
	h.Body = buf[h.size:min(end, n)]
	switch {
	case n >= end:
	case errors.Is(err, io.EOF):
		return false, nil, io.ErrUnexpectedEOF
	default:
		return false, nil, err
	}
	rest := h.size + h.length - n // what has not been read of the body
	if keep == 0 {
		h.Start = buf[h.size:min(n, n+rest, startEnds(h))]
		end = h.size + len(h.Start)
	}
	if rest <= 0 {
		return true, buf[n+rest : n], nil
	}
	if int64(rest) > s.client.opts.MaxDrain {
		return false, nil, nil
	}
	c.hurry(drainTime)
	for rest > 0 {
		m, err := c.rw.Read(buf[end:])
		n = end + m
		if keep == 0 {
			end = max(end, min(n, end+rest, startEnds(h)))
			h.Start = buf[h.size:end]
		}
		if rest -= m; rest > 0 && err != nil {
			return false, nil, nil //nolint:nilerr // nobody wants it
		}
	}
	return true, buf[n+rest : n], nil
}

// startEnds is where Answer.Start ends in the buffer, at the latest: what follows is room for draining.
func startEnds(h *head) int { return min(h.size+maxStart, bufferSize-minDrain) }
