package http1

// Idle returns how many connections are idle.
func (t *Transport) Idle() int {
	t.pool.mu.Lock()
	defer t.pool.mu.Unlock()
	n := 0
	for _, h := range t.pool.hosts {
		n += len(*h)
	}
	if n != t.pool.idle {
		panic("pool: the list of idle connections and those of the hosts differ")
	}
	return n
}

// Live returns how many connections are open, idle or in use.
func (t *Transport) Live() int {
	t.pool.mu.Lock()
	defer t.pool.mu.Unlock()
	return len(t.pool.all)
}

// Hosts returns how many hosts the pool has an entry for.
func (t *Transport) Hosts() int {
	t.pool.mu.Lock()
	defer t.pool.mu.Unlock()
	return len(t.pool.hosts)
}
