package http1

import (
	"slices"
	"sync"
	"time"
)

// pool knows all connections of a client, and hands out the idle ones.
type pool struct {
	maxPerHost  int
	maxIdle     int
	idleTimeout time.Duration

	mu     sync.Mutex
	closed bool
	all    map[*conn]struct{}   // idle and in use, for shut
	hosts  map[connKey]*[]*conn // idle ones, longest idle first
	newest *conn                // list of all idle ones by time
	oldest *conn
	idle   int         // length of that list
	timer  *time.Timer // calls expire; nil before first use
	armed  bool        // the timer runs: exactly while hosts holds something
}

// init makes an empty pool.
func (p *pool) init(o Options) {
	p.maxPerHost, p.maxIdle, p.idleTimeout = o.MaxIdlePerHost, o.MaxIdle, o.IdleTimeout
	p.all = make(map[*conn]struct{})
	p.hosts = make(map[connKey]*[]*conn)
}

// add enters a new connection, in use; false if the pool is shut.
func (p *pool) add(c *conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return false
	}
	p.all[c] = struct{}{}
	return true
}

// forget strikes a connection that is being closed.
func (p *pool) forget(c *conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.all, c)
}

// get takes the connection for key that was used last, nil if there is none:
// it is the one most likely to be alive, and the others may expire.
func (p *pool) get(key connKey) *conn {
	p.mu.Lock()
	defer p.mu.Unlock()
	h := p.hosts[key]
	if h == nil || len(*h) == 0 {
		return nil
	}
	last := len(*h) - 1
	c := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	p.unlink(c)
	return c
}

// put gives back a connection. It is closed when its host has its share of
// idle ones; when the pool as a whole is full, the oldest is.
func (p *pool) put(c *conn, now time.Time) {
	if surplus := p.keep(c, now); surplus != nil {
		surplus.close()
	}
}

// keep does put's work under the lock and returns the connection to close.
func (p *pool) keep(c *conn, now time.Time) (surplus *conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	h := p.hosts[c.key]
	if p.closed || p.maxPerHost <= 0 || h != nil && len(*h) >= p.maxPerHost {
		return c
	}
	if p.idle >= p.maxIdle {
		surplus = p.oldest
		p.dropOldest()
	}
	if h == nil {
		h = new([]*conn)
		p.hosts[c.key] = h
	}
	*h = append(*h, c)
	c.idleSince = now
	p.link(c)
	if !p.armed {
		p.arm(p.idleTimeout)
	}
	return surplus
}

// expire closes what has been idle for too long. The timer calls it.
func (p *pool) expire() { closeAll(p.takeExpired(time.Now())) }

// takeExpired removes the connections idle for too long, and sets the timer
// for the next.
func (p *pool) takeExpired(now time.Time) (expired []*conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.armed = false
	for p.oldest != nil && now.Sub(p.oldest.idleSince) >= p.idleTimeout {
		expired = append(expired, p.oldest)
		p.dropOldest()
	}
	for key, h := range p.hosts {
		if len(*h) == 0 {
			delete(p.hosts, key)
		}
	}
	if p.oldest != nil {
		// A tenth late is soon enough, and saves a timer for each connection.
		p.arm(p.oldest.idleSince.Add(p.idleTimeout).Sub(now) + p.idleTimeout/10)
	}
	return expired
}

// takeLongest removes the connection for key that is idle for longest, nil if there is none.
func (p *pool) takeLongest(key connKey) *conn {
	p.mu.Lock()
	defer p.mu.Unlock()
	h := p.hosts[key]
	if h == nil || len(*h) == 0 {
		return nil
	}
	c := (*h)[0]
	*h = slices.Delete(*h, 0, 1)
	p.unlink(c)
	return c
}

// takeHost removes the idle connections for key.
func (p *pool) takeHost(key connKey) (idle []*conn) {
	for c := p.get(key); c != nil; c = p.get(key) {
		idle = append(idle, c)
	}
	return idle
}

// takeOldest removes the n connections idle for longest.
func (p *pool) takeOldest(n int) (idle []*conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for p.oldest != nil && len(idle) < n {
		idle = append(idle, p.oldest)
		p.dropOldest()
	}
	return idle
}

// takeIdle removes all idle connections.
func (p *pool) takeIdle() []*conn {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.clearIdle()
}

// shut removes all connections, and no more are kept from here on.
func (p *pool) shut() (conns []*conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	p.clearIdle()
	for c := range p.all {
		conns = append(conns, c)
	}
	return conns
}

// clearIdle removes all idle connections and stops the timer. The lock is held.
func (p *pool) clearIdle() (idle []*conn) {
	for p.oldest != nil {
		idle = append(idle, p.oldest)
		p.dropOldest()
	}
	clear(p.hosts)
	if p.armed {
		// When it cannot be stopped, expire is about to run and clears armed.
		p.armed = !p.timer.Stop()
	}
	return idle
}

// arm starts the timer. The lock is held.
func (p *pool) arm(d time.Duration) {
	p.armed = true
	if p.timer == nil {
		p.timer = time.AfterFunc(d, p.expire)
		return
	}
	p.timer.Reset(d)
}

// dropOldest removes the connection idle for longest. Within its host it is
// the first, as both are in order of time. The lock is held.
func (p *pool) dropOldest() {
	c := p.oldest
	h := p.hosts[c.key]
	n := copy(*h, (*h)[1:])
	(*h)[n] = nil
	*h = (*h)[:n]
	p.unlink(c)
}

// link enters c as the newest idle connection. The lock is held.
func (p *pool) link(c *conn) {
	c.older, c.newer = p.newest, nil
	if p.newest != nil {
		p.newest.newer = c
	} else {
		p.oldest = c
	}
	p.newest = c
	p.idle++
}

// unlink removes c from the list of idle connections. The lock is held.
func (p *pool) unlink(c *conn) {
	if c.newer != nil {
		c.newer.older = c.older
	} else {
		p.newest = c.older
	}
	if c.older != nil {
		c.older.newer = c.newer
	} else {
		p.oldest = c.newer
	}
	c.newer, c.older = nil, nil
	p.idle--
}
