package chaos_test

import (
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// muter is a proxy between dispatchers and the receiver. A connection that it mutes stays open and takes data, but
// nothing passes through. That is what a lost NAT entry looks like, or an address whose node is gone.
type muter struct {
	url     string
	target  string
	running sync.WaitGroup

	mu    sync.Mutex
	muted map[net.Conn]bool // every open connection of a dispatcher
}

func newMuter(t *testing.T, target string) *muter {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	m := &muter{url: "http://" + l.Addr().String(), target: strings.TrimPrefix(target, "http://"), muted: map[net.Conn]bool{}}
	m.running.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			m.mu.Lock()
			m.muted[c] = false
			m.mu.Unlock()
			m.running.Go(func() { m.serve(c) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		m.mu.Lock()
		for c := range m.muted {
			_ = c.Close()
		}
		m.mu.Unlock()
		m.running.Wait()
	})
	return m
}

// serve forwards both ways until one side closes the connection.
func (m *muter) serve(c net.Conn) {
	up, err := net.Dial("tcp", m.target)
	if err != nil {
		_ = c.Close()
		return
	}
	back := make(chan struct{})
	go func() { defer close(back); m.forward(c, c, up); _ = c.Close() }()
	m.forward(c, up, c)
	_ = up.Close()
	<-back
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.muted, c)
}

// forward copies from one connection to the other and discards the data while of is muted.
func (m *muter) forward(of, to, from net.Conn) {
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		if err != nil {
			return
		}
		m.mu.Lock()
		mute := m.muted[of]
		m.mu.Unlock()
		if !mute {
			if _, err := to.Write(buf[:n]); err != nil {
				return
			}
		}
	}
}

// mute mutes every open connection and returns how many.
func (m *muter) mute() (n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for c := range m.muted {
		m.muted[c] = true
		n++
	}
	return n
}

// swallowed removes the complaints that an attempt has no predecessor: that one was sent on a muted connection.
func (w *world) swallowed() {
	w.receiver.mu.Lock()
	defer w.receiver.mu.Unlock()
	w.wrong = slices.DeleteFunc(w.wrong, func(s string) bool { return strings.Contains(s, ": attempt ") })
}

// TestConnectionsGoMute: all connections to the worker go mute, and new ones work. Only the attempts on the muted
// connections fail.
func TestConnectionsGoMute(t *testing.T) {
	slow(t)
	w := newWorld(t, options{delay: 5 * time.Millisecond, concurrency: 32, timeout: time.Second})
	m := newMuter(t, w.URL)
	w.urls = []string{m.url}
	w.subscribe()
	d := w.start()
	n := either(3000, 600)
	w.publish(0, n, 0)
	w.await(30 * time.Second)
	w.o.concurrency = 8 // fewer than the connections, so that one round of timeouts does not use all of them
	w.subscribe()
	muted := m.mute()
	if muted < 50 {
		t.Fatalf("%d connections are open, want at least 50 for a useful test", muted)
	}
	began := time.Now()
	w.publish(n, n, 0)
	w.await(60 * time.Second)
	after := w.last.Sub(began)
	w.swallowed()
	v := w.judge()
	if v.dead > 0 || v.duplicates > 0 {
		t.Errorf("%s; want no duplicates and no dead letters, for the worker was healthy", v)
	}
	if limit := 20 * time.Second; after > limit { // a timeout, a probe, the retries
		t.Errorf("the last delivery came after %s, want at most %s", after, limit)
	}
	d.alive()
	d.stop()
	w.rest()
	if t.Failed() {
		w.logs("breaker", "is dead")
	}
	t.Logf("%d connections muted, last delivery after %.1f s: %s", muted, after.Seconds(), v)
	figures.add("%d connections to the worker gone mute, last delivery %.1f s later: %s", muted, after.Seconds(), v)
}
