package chaos_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/streams/report"
)

// sequence is the body of a message: the nth of its key, from 1 on.
type sequence struct {
	Key string `json:"key"`
	N   int    `json:"n"`
}

// sequences is a worker that fails three attempts in ten, and notes what is out of order.
type sequences struct {
	*httptest.Server
	mu       sync.Mutex
	keys     map[string]*keySeen
	accepted int // numbers, each once
	again    int // numbers that were accepted once more
	most     int // messages of a request
	run      int // most messages of a key in one
	wrong    []string
}

// keySeen is what became of the messages of a key, by number.
type keySeen struct {
	requests int // in flight
	accepted map[int]bool
	again    map[int]bool // accepted before, and failed after that
	failed   map[int]int  // attempts
}

// settled reports whether a message needs nothing any more.
func (k *keySeen) settled(n int) bool {
	return k.accepted[n] && !k.again[n] || k.failed[n] >= attempts
}

func newSequences(t *testing.T) *sequences {
	t.Helper()
	r := &sequences{keys: map[string]*keySeen{}}
	r.Server = httptest.NewServer(r)
	t.Cleanup(r.Close)
	return r
}

func (r *sequences) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	var list []*sequence
	var ids []string // in a batch
	bad := func() error {
		if req.Header.Get("medis-batch") == "" {
			list = append(list, new(sequence))
			return json.NewDecoder(req.Body).Decode(list[0])
		}
		for lines := json.NewDecoder(req.Body); ; {
			var one struct {
				ID   string   `json:"id"`
				Body sequence `json:"body"`
			}
			if err := lines.Decode(&one); errors.Is(err, io.EOF) {
				return nil
			} else if err != nil {
				return err
			}
			list, ids = append(list, &one.Body), append(ids, one.ID)
		}
	}()
	r.begin(list, bad)
	left := false
	select {
	case <-req.Context().Done():
		left = true
	case <-time.After(rand.N(4 * time.Millisecond)):
	}
	failed := r.end(list, left, ids != nil && rand.N(10) == 0) // one batch in ten fails as a whole
	switch {
	case len(failed) == 0:
	case ids == nil || len(failed) == len(list):
		w.WriteHeader(http.StatusInternalServerError)
	default:
		type listed struct {
			ID string `json:"id"`
		}
		answer := map[string][]listed{}
		for _, i := range failed {
			answer["failed"] = append(answer["failed"], listed{ids[i]})
		}
		_ = json.NewEncoder(w).Encode(answer)
	}
}

// begin notes messages that came. What is not settled of a key comes before all that follows it, and in one request at a time.
func (r *sequences) begin(list []*sequence, bad error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if bad != nil {
		r.wrong = append(r.wrong, bad.Error())
	}
	r.most = max(r.most, len(list))
	for key, numbers := range byKey(list) {
		seen := r.keys[key]
		if seen == nil {
			seen = &keySeen{accepted: map[int]bool{}, again: map[int]bool{}, failed: map[int]int{}}
			r.keys[key] = seen
		}
		r.run = max(r.run, len(numbers))
		if seen.requests++; seen.requests > 1 {
			r.wrong = append(r.wrong, fmt.Sprintf("key %s: %v, and another request is in flight", key, numbers))
		}
		last := 0
		for _, n := range numbers {
			if n <= last {
				r.wrong = append(r.wrong, fmt.Sprintf("key %s: %v", key, numbers))
			}
			for before := last + 1; before < n; before++ {
				if !seen.settled(before) {
					r.wrong = append(r.wrong, fmt.Sprintf("key %s: %v before %d, which failed %d times", key, numbers, before, seen.failed[before]))
					break
				}
			}
			last = n
		}
	}
}

// byKey are the numbers of the messages of each key, as they stand in a request.
func byKey(list []*sequence) map[string][]int {
	keys := map[string][]int{}
	for _, s := range list {
		keys[s.Key] = append(keys[s.Key], s.N)
	}
	return keys
}

// end notes which of the messages are accepted, and returns the others. left: nobody waits for the answer.
func (r *sequences) end(list []*sequence, left, all bool) (failed []int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for key := range byKey(list) {
		r.keys[key].requests--
	}
	for i, s := range list {
		seen := r.keys[s.Key]
		switch {
		case !left && (all || rand.N(10) < 3):
			failed = append(failed, i)
			seen.failed[s.N]++
			seen.again[s.N] = seen.accepted[s.N]
		case seen.accepted[s.N]:
			r.again++
			delete(seen.again, s.N)
		default:
			seen.accepted[s.N] = true
			r.accepted++
		}
	}
	return failed
}

// TestOrdered: three dispatchers push messages of many keys to an ordered subscription whose worker fails three attempts in ten.
// They get SIGKILL, one after another. The worker sees the numbers of a key one after another, each when the one before is
// accepted or dead; only what was in flight at a kill comes again.
func TestOrdered(t *testing.T) { testOrdered(t, "one by one", 1, either(1000, 200), either(20, 6)) }

// TestOrderedBatches: the same with batches, of which some messages fail, and some batches as a whole. A batch may have several messages
// of a key. What fails comes again before all that follows it, but for what was accepted with it.
func TestOrderedBatches(t *testing.T) {
	testOrdered(t, "in batches of 10", 10, either(1000, 200), either(20, 6))
}

// TestOrderedRuns: the same where messages of few keys fill the batches.
func TestOrderedRuns(t *testing.T) { testOrdered(t, "in batches of 100", 100, 10, either(3000, 200)) }

func testOrdered(t *testing.T, how string, batch, keys, each int) {
	kills := either(9, 4)
	w := newWorld(t, options{})
	r := newSequences(t)
	const slots = 16 + 8
	doc := fmt.Sprintf(`{"topic":"o","urls":[%q],"ordered":true,"concurrency":16,"retry_concurrency":8,"retry_coefficient":"20ms","max_retries":%d,"batch":{"size":%d,"wait":"5ms"}}`, r.URL, attempts-1, batch)
	w.put("o", doc)
	dispatchers := []*dispatcher{w.start(), w.start(), w.start()}
	published := make(chan struct{})
	go func() {
		defer close(published)
		for n := 1; n <= each; n++ {
			var list []medispatcher.Message
			for k := range keys {
				body, _ := json.Marshal(sequence{fmt.Sprint(k), n})
				list = append(list, medispatcher.Message{Topic: "o", Key: fmt.Sprint("key-", k), Body: body})
			}
			if _, err := w.store.PublishAll(t.Context(), list); err != nil {
				t.Error(err)
			}
		}
	}()
	for i := range kills {
		pause(500 * time.Millisecond)
		w.kill(&dispatchers[i%len(dispatchers)])
	}
	<-published
	count := func() medispatcher.ChannelStatus {
		list, err := report.New(w.store).ChannelStatus(t.Context(), []string{"o"})
		if err != nil || len(list) == 0 {
			return medispatcher.ChannelStatus{Ready: -1}
		}
		return list[0]
	}
	deadline := time.Now().Add(90 * time.Second)
	for c := count(); c.Ready+c.Buried != 0 || r.done() < keys*each-int(c.Dead); c = count() {
		if time.Now().After(deadline) {
			t.Errorf("%d of %d accepted; left: %+v\n%s", r.done(), keys*each, c, dispatchers[0].tail())
			break
		}
		pause(50 * time.Millisecond)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	dead := count().Dead
	t.Logf("%d keys × %d: %d accepted, %d dead, %d accepted again after %d kills", keys, each, r.accepted, dead, r.again, kills)
	figures.add("ordered, %s, 3 dispatchers, %d keys × %d, 30 %% failures, %d kills: %d out of order, %d accepted again", how, keys, each, kills, len(r.wrong), r.again)
	for i, wrong := range r.wrong {
		if i < 20 {
			t.Error(wrong)
		}
	}
	// One that was accepted, and whose acceptance a kill took away, may fail after that until it is dead.
	if all := r.accepted + int(dead); all < keys*each || all > keys*each+kills*slots*batch {
		t.Errorf("%d accepted and %d dead of %d", r.accepted, dead, keys*each)
	}
	if batch > 1 && (r.most < 2 || r.run < 2) {
		t.Errorf("the largest batch had %d messages, %d of a key", r.most, r.run)
	}
	if r.again > kills*slots*batch {
		t.Errorf("%d were accepted again, more than were in flight", r.again)
	}
	if n := w.env.Client.Exists(t.Context(), "medis:{0}:wait:o").Val(); n != 0 {
		t.Error("something waits in the lines")
	}
	line := w.env.Client.HGetAll(t.Context(), "medis:{0}:line:o").Val()
	maps.DeleteFunc(line, func(field, _ string) bool { return field == "~" || field == "~runs" })
	if len(line) > 0 {
		t.Errorf("left of the lines: %v", line)
	}
	for _, d := range dispatchers {
		d.stop()
	}
}

func (r *sequences) done() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.accepted
}
