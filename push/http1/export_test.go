package http1

import (
	"context"
	"net/netip"
)

// Resolve gives every name these addresses.
func (cl *Client) Resolve(ips ...netip.Addr) {
	cl.lookup = func(context.Context, string, string) ([]netip.Addr, error) { return ips, nil }
}

// Idle returns how many connections are idle.
func (cl *Client) Idle() int {
	cl.pool.mu.Lock()
	defer cl.pool.mu.Unlock()
	n := 0
	for _, h := range cl.pool.hosts {
		n += len(*h)
	}
	if n != cl.pool.idle {
		panic("pool: the list of idle connections and those of the hosts differ")
	}
	return n
}

// Live returns how many connections are open, idle or in use.
func (cl *Client) Live() int {
	cl.pool.mu.Lock()
	defer cl.pool.mu.Unlock()
	return len(cl.pool.all)
}

// Hosts returns how many hosts the pool has an entry for.
func (cl *Client) Hosts() int {
	cl.pool.mu.Lock()
	defer cl.pool.mu.Unlock()
	return len(cl.pool.hosts)
}

// ParseHead is what the quick parser makes of the start of an answer.
func ParseHead(b []byte) (a Answer, size, length int, closes, ok bool) {
	h, ok := parseHead(b)
	return h.Answer, h.size, h.length, h.closes, ok
}

// AppendHead is the request up to its body.
func (r *Request) AppendHead(b []byte) []byte { return r.appendHead(b) }

// Race and Interleave choose among the addresses of a host.
var (
	Race       = race
	Interleave = interleave
)
