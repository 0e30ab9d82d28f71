package chaos_test

import (
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// muter stands between dispatchers and the receiver. Connections that it makes mute stay open and take what they
// are sent, and nothing comes back: a NAT entry is lost, or the node behind an address is gone.
type muter struct {
	url     string
	target  string
	running sync.WaitGroup

	mu    sync.Mutex
	muted map[net.Conn]bool // by the dispatcher's side; all that are open
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

// serve forwards both ways until one side ends.
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

// forward writes to one what comes from the other, but for what belongs to a mute connection.
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

// mute makes every connection mute that is open now.
func (m *muter) mute() (n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for c := range m.muted {
		m.muted[c] = true
		n++
	}
	return n
}

// swallowed forgives that the receiver saw no first attempt of some messages: it was sent on a mute connection.
func (w *world) swallowed() {
	w.receiver.mu.Lock()
	defer w.receiver.mu.Unlock()
	w.wrong = slices.DeleteFunc(w.wrong, func(s string) bool { return strings.Contains(s, ": attempt ") })
}

// TestConnectionsGoMute: all connections to the worker die without a word, and new ones work. The attempts that were
// made on them fail, and nothing else does.
func TestConnectionsGoMute(t *testing.T) {
	slow(t)
	w := newWorld(t, options{delay: 5 * time.Millisecond, concurrency: 32, timeout: time.Second})
	m := newMuter(t, w.URL)
	w.URL = m.url
	w.subscribe()
	d := w.start()
	n := either(3000, 600)
	w.publish(0, n, 0)
	w.await(30 * time.Second)
	w.o.concurrency = 8 // one round of timeouts does not meet all of them
	w.subscribe()
	muted := m.mute()
	if muted < 50 {
		t.Fatalf("%d connections are open: nothing is tested", muted)
	}
	began := time.Now()
	w.publish(n, n, 0)
	w.await(60 * time.Second)
	after := w.last.Sub(began)
	w.swallowed()
	v := w.judge()
	if v.dead > 0 || v.duplicates > 0 {
		t.Errorf("%s; the worker was well", v)
	}
	if after > 20*time.Second { // a timeout, a probe, the retries
		t.Errorf("the last delivery came after %s", after)
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
