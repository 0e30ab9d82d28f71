package chaos_test

import (
	"fmt"
	"io"
	"log"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/solate/medispatcher"
)

// tags is how many dispatchers in a row have worker URLs of their own, by which the tally tells them apart.
const tags = 8

// tally is a quick worker. It remembers little, so that it can take many messages: of each the dispatcher that sent it
// last, and how many of a dispatcher's messages came again.
type tally struct {
	*httptest.Server
	wait func(sub string, left <-chan struct{}) // before an answer, until the client left; nil: no time

	mu       sync.Mutex
	lives    int // dispatchers started so far
	accepted int // by the dispatcher started last
	open     int // connections
	opened   int // ever
	subs     map[string]*tallied
	news     chan struct{}
}

type tallied struct {
	last     []int       // by message: the dispatcher that sent it last, from 1 on
	arrived  int         // messages accepted once or more
	again    map[int]int // by dispatcher: its messages that were accepted once more
	inFlight [tags]int
	most     int // of inFlight, ever
}

func newTally(t *testing.T) *tally {
	t.Helper()
	r := &tally{subs: map[string]*tallied{}, news: make(chan struct{}, 1)}
	r.Server = httptest.NewUnstartedServer(r)
	r.Config.ConnState = r.connection
	r.Config.ErrorLog = log.New(io.Discard, "", 0) // it tells of each refused handshake
	t.Cleanup(r.Close)
	return r
}

func (r *tally) connection(_ net.Conn, state http.ConnState) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch state {
	case http.StateNew:
		r.open++
		r.opened++
	case http.StateClosed:
		r.open--
	case http.StateActive, http.StateIdle, http.StateHijacked:
	}
}

// connections is how many are open, and how many ever were.
func (r *tally) connections() (open, opened int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.open, r.opened
}

// urls are the worker URLs of a subscription: each dispatcher uses one of its own.
func (r *tally) urls() (list []string) {
	for tag := range tags {
		list = append(list, fmt.Sprintf("[T_ENV:%d]%s/%d", tag, r.URL, tag))
	}
	return list
}

// start starts a dispatcher that the tally tells from the others.
func (r *tally) start(w *world) *dispatcher {
	r.mu.Lock()
	r.lives++
	r.accepted = 0
	tag := r.lives % tags
	r.mu.Unlock()
	return w.start(fmt.Sprintf("MEDIS_ENV=%d", tag))
}

// numbered is the body of a message. It begins with the message's number, and is as long as many real ones.
func numbered(n int) []byte { return fmt.Appendf(nil, "%-256d", n) }

func (r *tally) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	name := req.Header.Get("medis-subscription")
	tag, _ := strconv.Atoi(strings.TrimPrefix(req.URL.Path, "/"))
	r.mu.Lock()
	sub := r.subs[name]
	if sub == nil {
		sub = &tallied{again: map[int]int{}}
		r.subs[name] = sub
	}
	by := r.lives // or an earlier one: what it sent last may come after its death
	for by%tags != tag {
		by--
	}
	sub.inFlight[tag]++
	sub.most = max(sub.most, sub.inFlight[tag])
	r.mu.Unlock()
	body, err := io.ReadAll(req.Body)
	number, bad := strconv.Atoi(strings.TrimSpace(string(body)))
	if r.wait != nil {
		r.wait(name, req.Context().Done())
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	sub.inFlight[tag]--
	if err != nil || bad != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	sub.accept(number, by)
	if by == r.lives {
		r.accepted++
	}
	select {
	case r.news <- struct{}{}:
	default:
	}
}

func (s *tallied) accept(number, by int) {
	if missing := number + 1 - len(s.last); missing > 0 {
		s.last = append(s.last, make([]int, missing)...)
	}
	if before := s.last[number]; before > 0 {
		s.again[before]++
	} else {
		s.arrived++
	}
	s.last[number] = by
}

// arrived is how many messages each of some subscriptions has accepted at least.
func (r *tally) arrived(subs []string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	least := math.MaxInt
	for _, name := range subs {
		sub := r.subs[name]
		if sub == nil {
			return 0
		}
		least = min(least, sub.arrived)
	}
	return least
}

// until waits until a condition holds, which it asks about after each message that the tally accepts.
func (r *tally) until(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for silent := time.After(30 * time.Second); !holds(); {
		select {
		case <-r.news:
			silent = time.After(30 * time.Second)
		case <-silent:
			t.Fatalf("nothing arrives for 30 s: %s", what)
		}
	}
}

// delivered waits until the dispatcher started last has had n messages accepted.
func (r *tally) delivered(t *testing.T, n int) {
	t.Helper()
	r.until(t, "the new dispatcher delivers", func() bool {
		r.mu.Lock()
		defer r.mu.Unlock()
		return r.accepted >= n
	})
}

// backlog keeps a queue of messages that wait, so that no dispatcher is ever out of work. stop returns how many there were.
func (r *tally) backlog(w *world, waiting int) (stop func() int) {
	ended, published := make(chan struct{}), make(chan int, 1)
	go func() {
		n := 0
		defer func() { published <- n }()
		for {
			select {
			case <-ended:
				return
			case <-w.t.Context().Done():
				return
			default:
			}
			if n-r.arrived(w.subs) >= waiting {
				time.Sleep(time.Millisecond) // whoever waits for news is the test
				continue
			}
			batch := make([]medispatcher.Message, 100)
			for i := range batch {
				batch[i] = medispatcher.Message{Topic: "t", Body: numbered(n + i)}
			}
			if _, err := w.store.PublishAll(w.t.Context(), batch); w.t.Context().Err() != nil {
				return // a failed test ends
			} else if err != nil {
				w.t.Errorf("publish: %v", err)
				return
			}
			n += len(batch)
		}
	}()
	return func() int { close(ended); return <-published }
}
