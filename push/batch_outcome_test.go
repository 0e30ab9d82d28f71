package push

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/solate/medispatcher"
)

// failures notes the failed outcomes of messages, by id.
func (b *batches) failures() map[string][]*medispatcher.Settlement {
	list := map[string][]*medispatcher.Settlement{}
	b.s.cfg.Events.Settled = func(d *medispatcher.Delivery, s *medispatcher.Settlement) {
		if s.Failure != nil {
			b.mu.Lock()
			defer b.mu.Unlock()
			id := d.Message.WebhookID()
			list[id] = append(list[id], s)
		}
	}
	return list
}

// TestListedMessagesAreRetriedAlone: of a batch that was answered with 2xx only what the answer lists is pushed again.
func TestListedMessagesAreRetriedAlone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBatches(t, nil)
		failed, logs := b.failures(), b.logs()
		b.s.workers.poster.log = b.s.cfg.Log
		b.says = func(p posted) (int, http.Header, string) {
			if p.attempts[0] > 1 {
				return 204, nil, ""
			}
			return 200, nil, `{"failed":[{"id":"0-2-0","error":"no \"stock\""},{"id":"0-7-0"},{"id":"nobody","error":"x"}],"more":1}`
		}
		stop := b.run()
		b.put("a", 10)
		time.Sleep(time.Minute)
		synctest.Wait()
		posts := b.got()
		if len(posts) == 2 {
			slices.Sort(posts[1].ids)
		}
		if len(posts) != 2 || !slices.Equal(posts[1].ids, []string{"0-2-0", "0-7-0"}) || !slices.Equal(posts[1].attempts, []int{2, 2}) {
			t.Errorf("%+v", posts)
		}
		b.wantLeft("a", "map[]")
		if f := failed["0-2-0"]; len(failed) != 2 || len(f) != 1 || f[0].Failure.LastError != `status 200, but the worker lists this message as failed: no "stock"` ||
			f[0].Failure.Batch != 10 || f[0].Target != "http://a/" || f[0].Took == 0 && f[0].Outcome != medispatcher.Failed {
			t.Errorf("%d failed: %+v", len(failed), f)
		}
		if n := strings.Count(logs.String(), "was not in its batch"); n != 1 || !strings.Contains(logs.String(), "id=nobody") {
			t.Errorf("told %d times: %s", n, logs)
		}
		b.ok(stop())
		b.wantNothingHeld()
	})
}

// TestAnswersToABatch: what becomes of all messages of a batch, by its answer.
func TestAnswersToABatch(t *testing.T) {
	t.Parallel()
	const unreadable = ", but its list of failed messages cannot be read"
	for _, c := range []struct {
		name   string
		status int
		body   string
		why    string // "": accepted
	}{
		{"nothing", 204, "", ""},
		{"text", 200, "OK, done", ""},
		{"HTML", 200, "<html>", ""},
		{"another list", 200, "[1, 2", ""},
		{"an object without a list", 201, ` {"status":"ok"}`, ""},
		{"an empty list", 200, `{"failed":[]}`, ""},
		{"null", 200, `{"failed":null}`, ""},
		{"half an object", 200, `{"failed":[{"id":"0-1`, "status 200" + unreadable + `; it began: {"failed":[{"id":"0-1`},
		{"a list of strings", 200, `{"failed":["0-1-0"]}`, "status 200" + unreadable + `; it began: {"failed":["0-1-0"]}`},
		{"no id", 200, `{"failed":[{"error":"x"}]}`, "status 200" + unreadable + `; it began: {"failed":[{"error":"x"}]}`},
		{"a number for a list", 200, `{"failed":3}`, "status 200" + unreadable + `; it began: {"failed":3}`},
		{"more than may be", 200, `{"failed":[]` + strings.Repeat(" ", batchAnswer(4)) + "}", "status 200" + unreadable + `; it began: {"failed":[]`},
		{"an id that names nothing", 200, `{"failed":[{"id":""}]}`, "status 200" + unreadable + `; it began: {"failed":[{"id":""}]}`},
		{"UTF-16", 200, "\xff\xfe{\x00}\x00", "status 200" + unreadable + "; it began: \uFFFD{\x00}\x00"},
		{"UTF-16, the other way round", 200, "\xfe\xff\x00{\x00}", "status 200" + unreadable + "; it began: \uFFFD\x00{\x00}"},
		{"compressed", 201, "\x1f\x8b", "status 201" + unreadable + "; it began: \x1f\uFFFD"},
		{"Latin-1", 200, "erledigt f\xfcr heute", ""},
		{"any other status", 500, `{"failed":[]}`, `status 500: {"failed":[]}`},
		{"a redirect", 302, "", "status 302"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := newBatches(t, func(s *medispatcher.Subscription) { s.RetryCoefficient = medispatcher.Duration(time.Hour) })
				failed := b.failures()
				var h http.Header
				if c.name == "compressed" {
					h = http.Header{"Content-Encoding": {"gzip"}}
				}
				b.says = func(posted) (int, http.Header, string) { return c.status, h, c.body }
				stop := b.run()
				b.put("a", 4)
				time.Sleep(time.Second)
				synctest.Wait()
				want := 4
				if c.why == "" {
					want = 0
				}
				if len(failed) != want {
					t.Errorf("%d failed, want %d", len(failed), want)
				}
				for id, f := range failed {
					if f[0].Failure.LastError != c.why {
						t.Errorf("%s: %s, want %s", id, f[0].Failure.LastError, c.why)
					}
				}
				b.ok(stop())
			})
		})
	}
}

// TestListsOfFailedMessages: however a worker writes its list, what it lists has failed, and nothing else.
func TestListsOfFailedMessages(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]string{
		"as documented":      `{"failed":[{"id":"b","error":"x"}]}`,
		"behind a mark":      "\uFEFF" + `{"failed":[{"id":"b"}]}`,
		"behind empty lines": "\r\n\t " + `{"failed":[{"id":"b"}]}`,
		"an empty one next":  `{"failed":[{"id":"b"}],"failed":[]}`,
		"null next":          `{"failed":[{"id":"b"}],"Failed":null}`,
		"two lists":          `{"failed":[{"id":"b"}],"failed":[{"id":"b","error":1}]}`,
	} {
		failed, readable := listedFailed([]byte(answer), batchAnswer(2), false)
		if _, listed := failed["b"]; !readable || !listed || len(failed) != 1 {
			t.Errorf("%s: %v, %v", name, failed, readable)
		}
	}
	failed, readable := listedFailed([]byte(`{"failed":[{"id":"a"},{"id":"b"}],"failed":[{"id":"c"}]}`), batchAnswer(3), false)
	if !readable || len(failed) != 3 {
		t.Errorf("of two lists: %v, %v", failed, readable)
	}
}

// halfAnswer is a connection that breaks in the middle of its first answer.
type halfAnswer struct {
	net.Conn
	reads int
}

func (h *halfAnswer) Write(p []byte) (int, error) { return len(p), nil }

func (h *halfAnswer) Read(p []byte) (int, error) {
	if h.reads++; h.reads > 1 {
		return 0, io.EOF
	}
	return copy(p, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"), nil
}

// TestAnswerToABatchThatBreaksOff: it might have listed a message, so all of them are pushed again.
func TestAnswerToABatchThatBreaksOff(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBatches(t, nil)
		failed := b.failures()
		first := true
		b.s.cfg.Client = clientOf(t, roundTrip(b.answer), func(_ string, c net.Conn) (net.Conn, error) {
			if first {
				first = false
				return &halfAnswer{Conn: c}, nil
			}
			return c, nil
		})
		stop := b.run()
		b.put("a", 4)
		time.Sleep(time.Minute)
		synctest.Wait()
		for id, f := range failed {
			if !strings.HasPrefix(f[0].Failure.LastError, "status 200, and its body broke off: ") {
				t.Errorf("%s: %s", id, f[0].Failure.LastError)
			}
		}
		if len(failed) != 4 {
			t.Errorf("%d failed, want 4", len(failed))
		}
		b.ok(stop())
		b.wantLeft("a", "map[]")
	})
}

// TestPoisonIsCornered: a batch with a message that nobody can take fails as a whole. Its messages go in halves from then on,
// until that one is alone. The others arrive, and it alone becomes a dead letter, whatever the number of attempts is.
func TestPoisonIsCornered(t *testing.T) {
	t.Parallel()
	for _, retries := range []int{1, 3, 10} {
		t.Run(fmt.Sprint(retries), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := newBatches(t, func(s *medispatcher.Subscription) { s.Batch.Size, s.MaxRetries, s.Concurrency = 100, retries, 2 })
				var bad []posted
				b.says = func(p posted) (int, http.Header, string) {
					if slices.Contains(p.ids, "0-42-0") {
						b.mu.Lock()
						defer b.mu.Unlock()
						bad = append(bad, p)
						return 500, nil, "cannot"
					}
					return 200, nil, ""
				}
				stop := b.run()
				b.put("a", 200)
				time.Sleep(time.Hour)
				synctest.Wait()
				b.wantLeft("a", "map[dead:1]")
				if n := b.q.Count("sent:a"); n != 199 {
					t.Errorf("%d are sent, want 199", n)
				}
				if len(bad) != retries+1 || len(bad[len(bad)-1].ids) != 1 {
					t.Errorf("%d attempts at it, the last one with %d messages", len(bad), len(bad[len(bad)-1].ids))
				}
				for i, p := range bad[1:] {
					if len(p.ids) > max(1, len(bad[i].ids)/2) {
						t.Errorf("a batch of %d after one of %d failed", len(p.ids), len(bad[i].ids))
					}
				}
				b.ok(stop())
				b.wantNothingHeld()
			})
		})
	}
}

// TestMessagesThatFailedByThemselvesStayAlone: by an earlier version, or before the subscription had batches.
func TestMessagesThatFailedByThemselvesStayAlone(t *testing.T) {
	t.Parallel()
	st := &settings{sub: &medispatcher.Subscription{MaxRetries: 10}, size: 100}
	for _, c := range []struct {
		attempt, failed, want int // failed is the size of the batch that failed, -1: none did
	}{{1, -1, 100}, {2, 0, 1}, {2, 1, 1}, {2, 2, 1}, {2, 7, 3}, {2, 1000, 100}, {11, 100, 1}, {11, -1, 1}} {
		j := &job{Delivery: medispatcher.Delivery{Attempt: c.attempt}}
		if c.failed >= 0 {
			j.Failure = &medispatcher.Failure{Batch: c.failed}
		}
		if got := st.most(j); got != c.want {
			t.Errorf("%+v: %d", c, got)
		}
	}
}

// TestMessagesThatFailTogetherAreRetriedTogether: they are due at the same time, and wait for nothing else to be whole.
func TestMessagesThatFailTogetherAreRetriedTogether(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBatches(t, func(s *medispatcher.Subscription) { s.Batch.Size, s.RetryConcurrency = 100, 1 })
		var failed atomic.Bool
		b.says = func(posted) (int, http.Header, string) {
			if failed.CompareAndSwap(false, true) {
				return 503, http.Header{"Retry-After": {"7"}}, ""
			}
			return 200, nil, ""
		}
		stop := b.run()
		b.got()
		b.put("a", 100)
		time.Sleep(time.Minute)
		synctest.Wait()
		b.wantSizes("100 at 0s", "50 at 7.002s", "50 at 7.002s")
		b.ok(stop())
		b.wantLeft("a", "map[]")
	})
}

// TestBreakerOfBatches: a request is one attempt, however many messages it has. A probe has one message.
func TestBreakerOfBatches(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBatches(t, func(s *medispatcher.Subscription) { s.Concurrency = 1 })
		var down atomic.Bool
		down.Store(true)
		b.says = func(posted) (int, http.Header, string) {
			if down.Load() {
				return 500, nil, ""
			}
			return 200, nil, ""
		}
		stop := b.run()
		b.put("a", 500)
		time.Sleep(500 * time.Millisecond)
		synctest.Wait()
		if n := len(b.got()); n != 10 {
			t.Errorf("%d requests until the breaker opened, want 10", n)
		}
		time.Sleep(8 * time.Second)
		synctest.Wait()
		for _, p := range b.got() {
			if len(p.ids) != 1 {
				t.Errorf("a probe of %d messages", len(p.ids))
			}
		}
		down.Store(false)
		time.Sleep(time.Hour)
		synctest.Wait()
		b.wantLeft("a", "map[]")
		b.ok(stop())
		b.wantNothingHeld()
	})
}

// TestGoneBatchPausesOnce: 410 is told once, and nothing is lost.
func TestGoneBatchPausesOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBatches(t, nil)
		b.says = func(posted) (int, http.Header, string) { return 410, nil, "" }
		stop := b.run()
		b.put("a", 10)
		time.Sleep(100 * time.Millisecond)
		synctest.Wait()
		if gone, _ := b.told(); len(gone) != 1 {
			t.Errorf("told %d times", len(gone))
		}
		b.wantLeft("a", "map[retrying:10]")
		b.ok(stop())
	})
}

// breaks is a queue where reading one entry panics.
type breaks struct {
	Reader
	entryID string
	by      *medispatcher.PanicError
}

func (q breaks) Read(ctx context.Context, wants []medispatcher.Want) ([]medispatcher.Delivery, error) {
	list, err := q.Reader.Read(ctx, wants)
	return q.broken(list), err
}

func (q breaks) Due(ctx context.Context, p int, wants []medispatcher.Want) ([]medispatcher.Delivery, []time.Duration, error) {
	list, next, err := q.Reader.Due(ctx, p, wants)
	return q.broken(list), next, err
}

func (q breaks) broken(list []medispatcher.Delivery) []medispatcher.Delivery {
	for i := range list {
		if list[i].EntryID == q.entryID {
			list[i].Broken = q.by
		}
	}
	return list
}

// TestPanicAtAMessageOfABatch: it fails alone, and the others go out.
func TestPanicAtAMessageOfABatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBatches(t, func(s *medispatcher.Subscription) { s.MaxRetries = 2 })
		broken := &medispatcher.PanicError{Value: "reading"}
		b.s.queue.Reader = breaks{b.s.queue.Reader, "3-0", broken}
		failed := b.failures()
		stop := b.run()
		b.put("a", 10)
		time.Sleep(time.Minute)
		synctest.Wait()
		posts := b.got()
		if len(posts) != 1 || len(posts[0].ids) != 9 {
			t.Errorf("%d batches: %+v", len(posts), posts)
		}
		b.wantLeft("a", "map[dead:1]")
		if f := failed["0-3-0"]; len(failed) != 1 || len(f) != 3 || !f[2].Panicked {
			t.Errorf("%+v", failed)
		}
		b.ok(stop())
		b.wantNothingHeld()
	})
}
