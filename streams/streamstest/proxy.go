package streamstest

import (
	"bytes"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// Replies says what the proxy does with the answers of Redis.
type Replies int

// What happens to an answer. In each case the command has run.
const (
	PassReplies Replies = iota // it arrives
	HoldReplies                // it never arrives; the connection stays open and silent
	CutReplies                 // the connection is closed instead
)

const (
	// proxyConns bounds the open connections. Further ones are closed at once.
	proxyConns = 512
	// proxyChunks bounds the buffer of one direction, in chunks of proxyChunk bytes.
	proxyChunks = 64
	proxyChunk  = 32 << 10
)

// Proxy is a TCP proxy in front of Redis that fails as networks do. Tests switch its faults while it
// runs. They also affect open connections.
type Proxy struct {
	Addr string // where clients connect to

	target  string
	running sync.WaitGroup

	mu       sync.Mutex
	listener net.Listener // nil while connections are refused
	closed   bool
	conns    map[*proxied]struct{}
	request  time.Duration // delay of requests
	reply    time.Duration // delay of answers
	fate     Replies
	left     int // answers that fate still applies to; negative: all
	lost     int // answers that did not arrive
}

// NewProxy makes a proxy for the server at target. It ends with the test.
func NewProxy(t testing.TB, target string) *Proxy {
	t.Helper()
	addr, _ := freePort(t)
	return newProxy(t, addr, target)
}

func newProxy(t testing.TB, addr, target string) *Proxy {
	t.Helper()
	p := &Proxy{Addr: addr, target: target, conns: map[*proxied]struct{}{}}
	p.Refuse(t, false)
	t.Cleanup(p.Close)
	return p
}

// URL is the URL of Redis through the proxy.
func (p *Proxy) URL() string { return "redis://" + p.Addr }

// Refuse closes all connections and refuses new ones, like a machine on which no process listens on
// the port. Refuse(t, false) ends that.
func (p *Proxy) Refuse(t testing.TB, on bool) {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case on && p.listener != nil:
		_ = p.listener.Close()
		p.listener = nil
		p.cut()
	case !on && p.listener == nil && !p.closed:
		l, err := net.Listen("tcp", p.Addr) //nolint:noctx // ended by Close
		if err != nil {
			t.Fatal(err)
		}
		p.listener = l
		p.running.Go(func() { p.accept(l) })
	}
}

// Cut closes every connection. New ones are accepted.
func (p *Proxy) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cut()
}

func (p *Proxy) cut() {
	for c := range p.conns {
		c.close()
	}
}

// Delay delays everything: request is the delay towards Redis, reply the delay of answers.
func (p *Proxy) Delay(request, reply time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.request, p.reply = request, reply
}

// Replies sets what happens to the next n answers, or to all if n is negative. Answers to a client's
// greeting, and to its question where the slots of a cluster are, do not count. A connection that
// held an answer stays silent for good, because a later answer would answer the wrong command.
func (p *Proxy) Replies(fate Replies, n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fate, p.left, p.lost = fate, n, 0
}

// Lost is the number of answers that did not arrive since the last call of Replies.
func (p *Proxy) Lost() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.lost
}

// Close ends the proxy and waits for its goroutines.
func (p *Proxy) Close() {
	p.mu.Lock()
	p.closed = true
	if p.listener != nil {
		_ = p.listener.Close()
		p.listener = nil
	}
	p.cut()
	p.mu.Unlock()
	p.running.Wait()
}

func (p *Proxy) accept(l net.Listener) {
	for {
		client, err := l.Accept()
		if err != nil {
			return
		}
		p.running.Go(func() { p.serve(l, client) })
	}
}

// proxied is one connection through the proxy.
type proxied struct {
	client, server net.Conn
	greets         atomic.Bool   // the last request was a greeting
	done           chan struct{} // closed with the connection
	once           sync.Once
}

func (c *proxied) close() {
	c.once.Do(func() {
		close(c.done)
		_ = c.client.Close()
		_ = c.server.Close()
	})
}

func (p *Proxy) serve(l net.Listener, client net.Conn) {
	server, err := net.DialTimeout("tcp", p.target, time.Second) //nolint:noctx // bounded
	if err != nil {
		_ = client.Close()
		return
	}
	c := &proxied{client: client, server: server, done: make(chan struct{})}
	defer c.close()
	p.mu.Lock()
	taken := p.listener == l && len(p.conns) < proxyConns // otherwise Refuse was called meanwhile
	if taken {
		p.conns[c] = struct{}{}
	}
	p.mu.Unlock()
	if !taken {
		return
	}
	var both sync.WaitGroup
	both.Go(func() { p.pipe(c, client, server, false) })
	both.Go(func() { p.pipe(c, server, client, true) })
	both.Wait()
	p.mu.Lock()
	delete(p.conns, c)
	p.mu.Unlock()
}

// chunk is a piece of data in one direction, and when to send it.
type chunk struct {
	data []byte
	due  time.Time
}

// pipe copies one direction until the connection ends. A delay adds latency without reducing
// throughput: many chunks may be under way.
func (p *Proxy) pipe(c *proxied, from, to net.Conn, replies bool) {
	way := make(chan chunk, proxyChunks)
	var writer sync.WaitGroup
	writer.Go(func() {
		defer c.close()
		for piece := range way {
			if !c.await(piece.due) {
				return
			}
			if _, err := to.Write(piece.data); err != nil {
				return
			}
		}
	})
	defer writer.Wait()
	defer close(way)
	silent := false
	for {
		buf := make([]byte, proxyChunk)
		n, err := from.Read(buf)
		if n > 0 && !silent {
			if !replies {
				c.greets.Store(isGreeting(buf[:n]))
			}
			fate, due := p.fateOf(c, replies)
			switch fate {
			case CutReplies:
				c.close()
				return
			case HoldReplies:
				silent = true
			case PassReplies:
				select {
				case way <- chunk{buf[:n], due}:
				case <-c.done:
					return
				}
			}
		}
		if err != nil {
			return
		}
	}
}

// await waits until a chunk is due. It reports false if the connection ended.
func (c *proxied) await(due time.Time) bool {
	d := time.Until(due)
	if d <= 0 {
		return true
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-c.done:
		return false
	}
}

// isGreeting reports whether a request is what a client sends by itself, on a new connection or to
// learn the slots of a cluster.
func isGreeting(request []byte) bool {
	request = bytes.ToLower(request[:min(len(request), 40)])
	return bytes.Contains(request, []byte("hello\r\n")) || bytes.Contains(request, []byte("setinfo\r\n")) ||
		bytes.Contains(request, []byte("\r\nslots\r\n"))
}

// fateOf says what happens to a chunk that was just read.
func (p *Proxy) fateOf(c *proxied, reply bool) (fate Replies, due time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !reply {
		return PassReplies, time.Now().Add(p.request)
	}
	if p.fate == PassReplies || p.left == 0 || p.left > 0 && c.greets.Load() {
		return PassReplies, time.Now().Add(p.reply)
	}
	if p.left > 0 {
		p.left--
	}
	p.lost++
	return p.fate, time.Time{}
}
