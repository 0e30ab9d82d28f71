package outlet

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// disk is a writer that takes some bytes, then fails, and hangs while it is held.
type disk struct {
	mu    sync.Mutex
	text  strings.Builder
	room  int
	fails error         // once there is no room; and of syncs
	holds chan struct{} // not nil: a write waits until it is closed
	syncs int
}

var errFull = errors.New("no space left on device")

func (d *disk) write(p []byte) (int, error) {
	d.mu.Lock()
	holds := d.holds
	d.mu.Unlock()
	if holds != nil {
		<-holds
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	n := min(d.room, len(p))
	d.text.Write(p[:n])
	d.room -= n
	if n < len(p) {
		return n, errFull
	}
	return n, nil
}

func (d *disk) sync() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.syncs++
	return d.fails
}

func (d *disk) hold() (release func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	c := make(chan struct{})
	d.holds = c
	return func() {
		d.mu.Lock()
		d.holds = nil
		d.mu.Unlock()
		close(c)
	}
}

func (d *disk) empty(room int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.room = room
}

func (d *disk) lines() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return strings.Fields(d.text.String())
}

// bubble runs a test on a disk in a bubble. What the outlet told is in told.
func bubble(t *testing.T, test func(t *testing.T, d *disk, o *Outlet, told *[]string)) {
	synctest.Test(t, func(t *testing.T) {
		d := &disk{room: 1 << 20}
		var told []string
		o := New(Config{
			Write: d.write, Sync: d.sync, Bytes: 10_000, Lines: 10,
			Failing: func(err error) { told = append(told, err.Error()) },
			Back:    func(lost int64) { told = append(told, fmt.Sprint(lost, " lost")) },
		})
		test(t, d, o, &told)
		_, _ = o.Close(time.Second)
		synctest.Wait()
	})
}

func put(o *Outlet, texts ...string) {
	for _, text := range texts {
		o.Put([]byte(text+"\n"), "A")
	}
}

func TestLinesAreWrittenInOrder(t *testing.T) {
	bubble(t, func(t *testing.T, d *disk, o *Outlet, told *[]string) {
		buffer := []byte("1\n")
		_, _ = o.Write(buffer)
		copy(buffer, "x\n") // the caller's
		put(o, "2", "3")
		synctest.Wait()
		if got := fmt.Sprint(d.lines(), *told, o.State()); got != "[1 2 3] [] {<nil> map[] 0}" {
			t.Error(got)
		}
	})
}

// TestStalledReader: writing a line never blocks, and lines that do not fit are counted and reported once.
func TestStalledReader(t *testing.T) {
	bubble(t, func(t *testing.T, d *disk, o *Outlet, told *[]string) {
		release := d.hold()
		start := time.Now()
		for i := range 100 {
			put(o, fmt.Sprint(i))
			synctest.Wait()
		}
		time.Sleep(5 * time.Second)
		s := o.State()
		if !errors.Is(s.Problem, ErrStalled) || s.Lost["A"] != 89 || s.Waiting != 10 || s.LostLines() != 89 {
			t.Errorf("%+v, want one line under way, 10 that wait and 89 lost", s)
		}
		if took := time.Since(start); took != 5*time.Second {
			t.Errorf("lines waited %s", took)
		}
		release()
		synctest.Wait()
		if got := fmt.Sprint(d.lines(), *told, o.State().Problem); got != "[0 1 2 3 4 5 6 7 8 9 10] [89 lost] <nil>" {
			t.Error(got)
		}
	})
}

func TestBufferIsBoundedInBytes(t *testing.T) {
	bubble(t, func(t *testing.T, d *disk, o *Outlet, _ *[]string) {
		release := d.hold()
		put(o, strings.Repeat("a", 20_000)) // larger than the buffer: the only one there
		synctest.Wait()
		put(o, "b")
		if s := o.State(); s.Lost["A"] != 1 || s.Waiting != 0 {
			t.Errorf("%+v", s)
		}
		release()
		synctest.Wait()
		put(o, strings.Repeat("a", 9_000), strings.Repeat("b", 9_000))
		synctest.Wait()
		if got := len(d.lines()); got < 2 {
			t.Errorf("%d lines", got)
		}
	})
}

// TestFullDisk: lines wait for room. The first one is torn at first, and each is whole in the end.
func TestFullDisk(t *testing.T) {
	bubble(t, func(t *testing.T, d *disk, o *Outlet, told *[]string) {
		d.empty(3)
		put(o, "aaaa", "bbbb")
		time.Sleep(10 * time.Second)
		if s := o.State(); !errors.Is(s.Problem, errFull) || s.LostLines() != 0 {
			t.Errorf("%+v", s)
		}
		d.empty(1000)
		time.Sleep(3 * time.Second)
		if got := fmt.Sprint(d.lines(), *told, o.State()); got != "[aaa aaaa bbbb] [no space left on device] {<nil> map[] 0}" {
			t.Error(got)
		}
	})
}

func TestKeep(t *testing.T) {
	keep := func(o *Outlet, text string) error { return o.Keep([]byte(text+"\n"), "K", time.Second) }
	t.Run("written and synced", func(t *testing.T) {
		bubble(t, func(t *testing.T, d *disk, o *Outlet, _ *[]string) {
			if err := keep(o, "k"); err != nil || fmt.Sprint(d.lines(), d.syncs) != "[k] 1" {
				t.Error(err, d.lines(), d.syncs)
			}
		})
	})
	t.Run("full disk", func(t *testing.T) {
		bubble(t, func(t *testing.T, d *disk, o *Outlet, told *[]string) {
			d.empty(0)
			for range 3 {
				if err := keep(o, "k"); !errors.Is(err, errFull) {
					t.Error(err)
				}
			}
			if s := o.State(); s.Lost["K"] != 3 || s.Problem == nil {
				t.Errorf("%+v", s)
			}
			d.empty(100)
			time.Sleep(5 * time.Second) // no line comes, and it is found to be well all the same
			if s := o.State(); s.Problem != nil || fmt.Sprint(*told) != "[no space left on device 3 lost]" || len(d.lines()) != 0 {
				t.Errorf("%+v, told %v, wrote %v", s, *told, d.lines())
			}
		})
	})
	t.Run("disk that fails at the sync", func(t *testing.T) {
		bubble(t, func(t *testing.T, d *disk, o *Outlet, _ *[]string) {
			d.fails = errFull
			if err := keep(o, "k"); !errors.Is(err, errFull) {
				t.Error(err)
			}
		})
	})
	t.Run("stalled", func(t *testing.T) {
		bubble(t, func(t *testing.T, d *disk, o *Outlet, _ *[]string) {
			release := d.hold()
			put(o, "1", "2")
			synctest.Wait()
			start := time.Now()
			if err := keep(o, "k"); !errors.Is(err, ErrStalled) || time.Since(start) != time.Second {
				t.Error(err, time.Since(start))
			}
			time.Sleep(time.Millisecond)
			if err := keep(o, "k"); !errors.Is(err, ErrStalled) || time.Since(start) > 1010*time.Millisecond {
				t.Error("the second one waited for what is known to stand still", err, time.Since(start))
			}
			release()
			synctest.Wait()
			if got := fmt.Sprint(d.lines(), o.State().Lost["K"]); got != "[1 2] 2" {
				t.Error("what was given up is written", got)
			}
		})
	})
	t.Run("before lines that wait", func(t *testing.T) {
		bubble(t, func(t *testing.T, d *disk, o *Outlet, _ *[]string) {
			release := d.hold()
			put(o, "1", "2", "3")
			synctest.Wait()
			done := make(chan error)
			go func() { done <- keep(o, "k") }()
			synctest.Wait()
			release()
			if err := <-done; err != nil {
				t.Error(err)
			}
			synctest.Wait()
			if got := fmt.Sprint(d.lines()); got != "[1 k 2 3]" {
				t.Error(got)
			}
		})
	})
	t.Run("closed", func(t *testing.T) {
		bubble(t, func(t *testing.T, _ *disk, o *Outlet, _ *[]string) {
			_, _ = o.Close(time.Second)
			if err := keep(o, "k"); !errors.Is(err, ErrClosed) {
				t.Error(err)
			}
		})
	})
}

func TestClose(t *testing.T) {
	t.Run("writes what waits", func(t *testing.T) {
		bubble(t, func(t *testing.T, d *disk, o *Outlet, _ *[]string) {
			put(o, "1", "2", "3")
			if lost, err := o.Close(time.Second); lost != 0 || err != nil || len(d.lines()) != 3 {
				t.Error(lost, err, d.lines())
			}
			put(o, "late")
			if s := o.State(); s.LostLines() != 1 {
				t.Errorf("%+v", s)
			}
		})
	})
	t.Run("does not wait for ever", func(t *testing.T) {
		bubble(t, func(t *testing.T, d *disk, o *Outlet, _ *[]string) {
			release := d.hold()
			put(o, "1", "2", "3")
			synctest.Wait()
			start := time.Now()
			lost, err := o.Close(time.Second)
			if lost != 3 || !errors.Is(err, ErrStalled) || time.Since(start) != time.Second {
				t.Error(lost, err, time.Since(start))
			}
			release()
		})
	})
	t.Run("nor for a disk to be emptied", func(t *testing.T) {
		bubble(t, func(t *testing.T, d *disk, o *Outlet, _ *[]string) {
			d.empty(0)
			put(o, "1", "2", "3")
			synctest.Wait()
			start := time.Now()
			if lost, _ := o.Close(time.Second); lost != 3 || time.Since(start) != 0 {
				t.Error(lost, time.Since(start))
			}
		})
	})
}

func TestManyWriters(t *testing.T) {
	d := &disk{room: 10 << 20}
	o := New(Config{Write: d.write, Sync: d.sync, Bytes: 1 << 20, Lines: 10_000})
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() {
			for i := range 200 {
				if i%10 == 0 {
					if err := o.Keep(fmt.Appendf(nil, "k%d-%d\n", w, i), "", time.Minute); err != nil {
						t.Error(err)
					}
				} else {
					_, _ = fmt.Fprintf(o, "l%d-%d\n", w, i)
				}
			}
		})
	}
	wg.Wait()
	if lost, err := o.Close(time.Minute); lost != 0 || err != nil {
		t.Error(lost, err)
	}
	seen := map[string]bool{}
	for _, l := range d.lines() {
		seen[l] = true
	}
	if len(seen) != 1600 {
		t.Errorf("%d lines, want 1600", len(seen))
	}
}
