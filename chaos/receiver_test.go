package chaos_test

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// delivery identifies one message of one subscription.
type delivery struct{ sub, id string }

// taken is one request that the receiver accepted.
type taken struct{ began, ended time.Time }

// receiver is the worker of all subscriptions. It records what it accepted and what was wrong.
type receiver struct {
	*httptest.Server
	delay time.Duration // before an answer
	plan  plan

	mu       sync.Mutex
	got      map[delivery][]taken
	attempts map[delivery]map[int]bool // the attempt numbers that came
	aborted  int                       // requests whose sender did not wait for the answer
	wrong    []string
	last     time.Time // when it last accepted a request
	news     chan struct{}
}

// fate is what the receiver does with a request.
type fate int

const (
	accept fate = iota
	refuse      // 500
	cut         // the connection ends in place of an answer
	hang        // the receiver never answers
)

// plan decides the fate of an attempt; nil accepts everything. It depends on its arguments
// alone, so a repeated attempt has the same fate.
type plan func(d delivery, attempt int) fate

// thirty fails three attempts in ten.
func thirty(d delivery, attempt int) fate {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s %s %d", d.sub, d.id, attempt))
	switch n := binary.BigEndian.Uint64(sum[:]) % 1000; {
	case n < 145:
		return refuse
	case n < 295:
		return cut
	case n < 300:
		return hang
	}
	return accept
}

// third fails the first attempt at almost a third of the messages.
func third(d delivery, attempt int) fate {
	if attempt == 1 && thirty(d, 0) != accept {
		return refuse
	}
	return accept
}

// dooms reports whether a plan fails every attempt of a message.
func (p plan) dooms(d delivery, attempts int) bool {
	if p == nil {
		return false
	}
	for n := 1; n <= attempts; n++ {
		if p(d, n) == accept {
			return false
		}
	}
	return true
}

func newReceiver(t *testing.T, delay time.Duration, p plan) *receiver {
	t.Helper()
	r := &receiver{
		delay: delay, plan: p, got: map[delivery][]taken{}, attempts: map[delivery]map[int]bool{}, news: make(chan struct{}, 1),
	}
	r.Server = httptest.NewServer(r)
	t.Cleanup(r.Close)
	return r
}

// bodyOf returns the body of a message. The id determines it, so the receiver can check that it is complete.
func bodyOf(id string) []byte {
	return []byte(`{"id":"` + id + `","pad":"` + strings.Repeat(id+" ", 240/(len(id)+1)) + `"}`)
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	began := time.Now()
	if req.Header.Get("medis-batch") != "" {
		r.batch(w, req, began)
		return
	}
	d := delivery{req.Header.Get("medis-subscription"), req.Header.Get("webhook-id")}
	attempt, _ := strconv.Atoi(req.Header.Get("medis-attempt"))
	body, err := io.ReadAll(req.Body)
	r.arrived(d, attempt, string(body) == string(bodyOf(d.id)) && err == nil)
	what := accept
	if r.plan != nil {
		what = r.plan(d, attempt)
	}
	switch what {
	case refuse:
		w.WriteHeader(http.StatusInternalServerError)
		return
	case cut:
		panic(http.ErrAbortHandler)
	case hang:
		<-req.Context().Done()
		return
	case accept:
	}
	time.Sleep(r.delay)
	r.note(req, began, d)
}

// batch takes a batch, and lists what is to fail.
func (r *receiver) batch(w http.ResponseWriter, req *http.Request, began time.Time) {
	type failure struct {
		ID string `json:"id"`
	}
	var good []delivery
	failed := []failure{}
	lines := json.NewDecoder(req.Body)
	for {
		var m struct {
			ID      string          `json:"id"`
			Attempt int             `json:"attempt"`
			Body    json.RawMessage `json:"body"`
		}
		if lines.Decode(&m) != nil {
			break
		}
		d := delivery{req.Header.Get("medis-subscription"), m.ID}
		r.arrived(d, m.Attempt, string(m.Body) == string(bodyOf(d.id)))
		if r.plan != nil && r.plan(d, m.Attempt) != accept {
			failed = append(failed, failure{m.ID})
		} else {
			good = append(good, d)
		}
	}
	if n := req.Header.Get("medis-batch"); n != strconv.Itoa(len(good)+len(failed)) {
		w.WriteHeader(http.StatusBadRequest) // its sender was killed
		return
	}
	time.Sleep(r.delay)
	r.note(req, began, good...)
	_ = json.NewEncoder(w).Encode(map[string]any{"failed": failed})
}

// note records what the worker has done.
func (r *receiver) note(req *http.Request, began time.Time, all ...delivery) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if req.Context().Err() != nil {
		r.aborted++ // accepted nevertheless: the worker has done its work
	}
	r.last = time.Now()
	for _, d := range all {
		r.got[d] = append(r.got[d], taken{began, r.last})
	}
	select {
	case r.news <- struct{}{}:
	default:
	}
}

// arrived records an attempt. Its number must be 1 or follow that of an earlier attempt.
func (r *receiver) arrived(d delivery, attempt int, whole bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.attempts[d] == nil {
		r.attempts[d] = map[int]bool{}
	}
	if attempt < 1 || attempt > 1 && !r.attempts[d][attempt-1] {
		r.wrong = append(r.wrong, fmt.Sprintf("%v: attempt %d came, want attempt %d before it", d, attempt, attempt-1))
	}
	r.attempts[d][attempt] = true
	if !whole {
		r.wrong = append(r.wrong, fmt.Sprintf("%v: the body is incomplete or changed", d))
	}
}

// took returns how many deliveries the receiver accepted. It counts duplicates once.
func (r *receiver) took() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.got)
}
