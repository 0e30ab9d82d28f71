package push

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/solate/medispatcher"
)

// posted is a batch that a worker got.
type posted struct {
	after    time.Duration // since the last look
	header   http.Header
	ids      []string
	attempts []int
	bytes    int
}

// batches is a fixture whose subscription "a" has batches, and what its worker got.
type batches struct {
	*fixture
	mu        sync.Mutex
	since     time.Time
	posts     []posted
	says      func(p posted) (status int, header http.Header, body string) // nil: 200
	takes     time.Duration
	now, most int // requests in flight
}

// packedMessage is a message of a batch as a worker reads it.
type packedMessage struct {
	ID, Topic, Type, Sender, Key string
	Time                         int64
	Attempt                      int
	Headers                      map[string]string
	Body                         json.RawMessage
	BodyBase64                   []byte `json:"body_base64"`
}

func newBatches(t *testing.T, change func(*medispatcher.Subscription)) *batches {
	t.Helper()
	sub := subscription("a")
	sub.Batch = medispatcher.BatchPolicy{Size: 10, Wait: medispatcher.Duration(50 * time.Millisecond), Bytes: 1 << 20, Format: medispatcher.BatchLines}
	sub.RetryCoefficient = medispatcher.Duration(time.Second)
	if change != nil {
		change(&sub)
	}
	b := &batches{fixture: newFixture(t, sub), since: time.Now()}
	b.s.cfg.Client = clientOf(t, roundTrip(b.answer))
	return b
}

func (b *batches) answer(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	b.mu.Lock()
	p := posted{after: time.Since(b.since), header: r.Header, bytes: len(body)}
	if r.Header.Get("medis-batch") == "" {
		p.ids, p.attempts = []string{r.Header.Get("webhook-id")}, []int{1}
	} else {
		for _, m := range unpacked(b.t, r.Header.Get("Content-Type"), body) {
			p.ids, p.attempts = append(p.ids, m.ID), append(p.attempts, m.Attempt)
		}
		if n := r.Header.Get("medis-batch"); n != fmt.Sprint(len(p.ids)) {
			b.t.Errorf("medis-batch %s, and %d messages are in it", n, len(p.ids))
		}
	}
	b.posts = append(b.posts, p)
	b.now++
	b.most = max(b.most, b.now)
	says, takes := b.says, b.takes
	b.mu.Unlock()
	time.Sleep(takes)
	status, header, text := 200, http.Header{}, "ok"
	if says != nil {
		status, header, text = says(p)
	}
	b.mu.Lock()
	b.now--
	b.mu.Unlock()
	if header == nil {
		header = http.Header{}
	}
	return &http.Response{StatusCode: status, Header: header, Body: io.NopCloser(strings.NewReader(text)), Request: r}, nil
}

// unpacked are the messages of a batch.
func unpacked(t testing.TB, contentType string, body []byte) (messages []packedMessage) {
	t.Helper()
	if contentType == eventBatchType {
		var events []struct{ ID string }
		if err := json.Unmarshal(body, &events); err != nil {
			t.Errorf("%v in %s", err, body)
		}
		for _, e := range events {
			messages = append(messages, packedMessage{ID: e.ID})
		}
		return messages
	}
	if contentType == "application/json" {
		if err := json.Unmarshal(body, &messages); err != nil {
			t.Errorf("%v in %s", err, body)
		}
		return messages
	}
	for line := range bytes.Lines(body) {
		var m packedMessage
		if err := json.Unmarshal(line, &m); err != nil || line[len(line)-1] != '\n' {
			t.Errorf("%v in %s", err, line)
		}
		messages = append(messages, m)
	}
	return messages
}

// got are the batches since the last look, each as its size and when it came.
func (b *batches) got() []posted {
	b.mu.Lock()
	defer b.mu.Unlock()
	posts := b.posts
	b.posts, b.since = nil, time.Now()
	return posts
}

func (b *batches) wantSizes(want ...string) {
	b.t.Helper()
	var sizes []string
	for _, p := range b.got() {
		sizes = append(sizes, fmt.Sprintf("%d at %s", len(p.ids), p.after))
	}
	if !slices.Equal(sizes, want) {
		b.t.Errorf("batches %q, want %q", sizes, want)
	}
}

// TestBatchEnds: by its size, its bytes or its wait, whichever is first. A lonely message waits no longer than the wait.
func TestBatchEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBatches(t, func(s *medispatcher.Subscription) { s.Batch.Bytes = 10 << 10 })
		stop := b.run()
		b.got()
		b.put("a", 1)
		time.Sleep(time.Second)
		synctest.Wait()
		b.wantSizes("1 at 50ms")
		b.put("a", 25)
		time.Sleep(time.Second)
		synctest.Wait()
		b.wantSizes("10 at 0s", "10 at 0s", "5 at 50ms")
		b.put("a", 5)
		time.Sleep(30 * time.Millisecond)
		synctest.Wait()
		b.put("a", 5)
		time.Sleep(time.Second)
		synctest.Wait()
		b.wantSizes("10 at 30ms")
		b.putBodies("a", 5, []byte(`"`+strings.Repeat("x", 4<<10)+`"`))
		time.Sleep(time.Second)
		synctest.Wait()
		for _, p := range b.got() {
			if len(p.ids) > 2 || p.bytes > 10<<10 {
				t.Errorf("%d messages, %d bytes", len(p.ids), p.bytes)
			}
		}
		b.putBodies("a", 3, []byte(strings.Repeat("x", 20<<10)))
		time.Sleep(time.Second)
		synctest.Wait()
		if posts := b.got(); len(posts) != 3 {
			t.Errorf("%d batches of messages that are larger than one, want 3", len(posts))
		}
		b.change("a", func(s *medispatcher.Subscription) { s.Batch.Wait = 0 })
		b.got()
		b.put("a", 3)
		time.Sleep(time.Second)
		synctest.Wait()
		b.wantSizes("3 at 0s")
		b.ok(stop())
		b.wantLeft("a", "map[]")
		b.wantNothingHeld()
	})
}

// TestBatchesTakeSlots: concurrency bounds the requests, each of them a batch.
func TestBatchesTakeSlots(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBatches(t, func(s *medispatcher.Subscription) { s.Concurrency = 3 })
		b.takes = time.Second
		stop := b.run()
		b.put("a", 100)
		time.Sleep(500 * time.Millisecond)
		synctest.Wait()
		b.wantLeft("a", "map[mine:30 ready:70]") // a worker that is slow holds nothing that is not in flight
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if b.most != 3 || len(b.got()) != 10 {
			t.Errorf("%d requests in flight, want 3", b.most)
		}
		b.ok(stop())
		b.wantLeft("a", "map[]")
		b.wantNothingHeld()
	})
}

// TestBatchChangesLive: batches are switched on and off while messages wait.
func TestBatchChangesLive(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBatches(t, func(s *medispatcher.Subscription) { s.Batch.Wait = medispatcher.Duration(4 * time.Second) })
		stop := b.run()
		b.put("a", 3)
		time.Sleep(time.Second)
		synctest.Wait()
		b.change("a", func(s *medispatcher.Subscription) { s.Batch.Size = 1 })
		time.Sleep(time.Millisecond)
		synctest.Wait()
		for _, p := range b.got() {
			if p.header.Get("medis-attempt") != "1" || p.header.Get("medis-batch") != "" {
				t.Errorf("pushed with %v", p.header)
			}
		}
		b.change("a", func(s *medispatcher.Subscription) { s.Batch.Size = 2 })
		b.put("a", 4)
		time.Sleep(time.Millisecond)
		synctest.Wait()
		if posts := b.got(); len(posts) != 2 {
			t.Errorf("%d requests, want 2", len(posts))
		}
		b.ok(stop())
		b.wantLeft("a", "map[]")
	})
}

// TestBatchGathersNoLongerThanTheDispatcherLives: at a shutdown what gathers is released at once, uncounted.
func TestBatchGathersNoLongerThanTheDispatcherLives(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBatches(t, func(s *medispatcher.Subscription) { s.Batch.Wait = medispatcher.Duration(time.Minute) })
		stop := b.run()
		b.put("a", 3)
		time.Sleep(time.Second)
		synctest.Wait()
		start := time.Now()
		b.ok(stop())
		if took := time.Since(start); took > time.Second {
			t.Errorf("the shutdown took %s", took)
		}
		b.wantLeft("a", "map[retrying:3]")
		if posts := b.got(); len(posts) > 0 {
			t.Errorf("%d batches went out", len(posts))
		}
		b.wantNothingHeld()
	})
}
