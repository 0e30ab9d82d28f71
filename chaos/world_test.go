package chaos_test

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/streams"
	"github.com/solate/medispatcher/streams/report"
	"github.com/solate/medispatcher/streams/streamstest"
)

const subscribers = 3

// options configure a world. The zero value is small and quick.
type options struct {
	messages    int           // used by tests that share their number
	delay       time.Duration // before the receiver's answers
	concurrency int           // requests in flight of each subscription
	retries     int           // retry slots of each subscription
	batch       int           // most messages in one push; 0: each goes by itself
	plan        plan
	partitions  int
	deadAfter   time.Duration
	timeout     time.Duration
	files       int              // limit of open files of a dispatcher, sockets included; 0: that of the test
	env         *streamstest.Env // nil: a new redis-server
	url         string           // how dispatchers reach Redis; empty: without a proxy
	// replicated calls publish and reports whether a failover may no longer lose what it published; nil: an
	// acknowledgement is enough.
	replicated func(t *testing.T, publish func() bool) bool
}

// attempts is the number of attempts before a message becomes a dead letter.
const attempts = 4

// world is a Redis, three subscriptions, their receiver, and a producer that keeps a list.
type world struct {
	*receiver
	t       *testing.T
	o       options
	env     *streamstest.Env
	store   *streams.Store // the producer's and the judge's
	url     string
	environ []string // added to the environment of every dispatcher and the amender
	within  []string // a command that runs every dispatcher; nil: none
	subs    []string
	urls    []string // of their worker, as of the next subscribe
	kills   []span
	typed   []string // commands that types ran
	started []*dispatcher
	rounds  int // failovers so far

	mu       sync.Mutex
	accepted map[string]bool // ids that Redis acknowledged
}

func newWorld(t *testing.T, o options) *world {
	t.Helper()
	o.partitions, o.concurrency, o.retries = cmp.Or(o.partitions, 1), cmp.Or(o.concurrency, 8), cmp.Or(o.retries, 4)
	if o.deadAfter == 0 {
		o.deadAfter = 2 * time.Second
	}
	if o.timeout == 0 {
		o.timeout = 10 * time.Second // far longer than any answer takes on a busy machine
	}
	w := &world{t: t, o: o, env: o.env, url: o.url, accepted: map[string]bool{}}
	if w.env == nil {
		w.env = streamstest.Real(t)
	}
	if w.url == "" {
		w.url = w.env.URL
	}
	w.environ = []string{
		fmt.Sprintf("MEDIS_PARTITIONS=%d", o.partitions),
		"MEDIS_DEAD_AFTER=" + o.deadAfter.String(), "MEDIS_HEARTBEAT=" + (o.deadAfter / 5).String(),
	}
	w.receiver = newReceiver(t, o.delay, o.plan)
	w.urls = []string{w.URL}
	cfg := w.env.Config("producer")
	cfg.Partitions = o.partitions
	w.store = w.env.Open(t, cfg)
	for i := range subscribers {
		w.subs = append(w.subs, fmt.Sprintf("s%d", i))
	}
	w.subscribe()
	return w
}

func (w *world) subscribe() {
	w.t.Helper()
	urls, err := json.Marshal(w.urls)
	if err != nil {
		w.t.Fatal(err)
	}
	doc := fmt.Sprintf(`{"topic":"t","urls":%s,"concurrency":%d,"retry_concurrency":%d,"retry_coefficient":"50ms","max_retries":%d,"timeout":%q,"batch":{"size":%d}}`,
		urls, w.o.concurrency, w.o.retries, attempts-1, w.o.timeout, max(1, w.o.batch))
	for _, sub := range w.subs {
		w.put(sub, doc)
	}
}

// put stores a subscription. It tries for a while: masters whose disk stalls call their cluster down meanwhile.
func (w *world) put(id, doc string) {
	w.t.Helper()
	registry := streams.NewRegistry(w.store, streamstest.Rules(), func(string, string) {})
	eventually(w.t, "store the subscription "+id, func() bool {
		_, _, _, err := registry.Put(w.t.Context(), id, []byte(doc), "")
		if err != nil {
			w.t.Log(err)
			pause(100 * time.Millisecond)
		}
		return err == nil
	})
}

const (
	publishBatch = 50
	// publishWithin is how long the producer waits for Redis; shortly is that time where masters may hang.
	publishWithin, shortly = 5 * time.Second, time.Second
)

// publish publishes n messages from number first on, spread evenly over a time, until each
// is acknowledged. It sends a message without a reply again under the same id, with those that come next:
// a producer does not stop because one master does.
func (w *world) publish(first, n int, over time.Duration) {
	began := time.Now()
	due := func(at int) time.Time { return began.Add(over * time.Duration(at) / time.Duration(n)) }
	var batch []medispatcher.Message
	for at := 0; at < n || len(batch) > 0; {
		if len(batch) == 0 {
			time.Sleep(time.Until(due(at)))
		}
		if at < n && !time.Now().Before(due(at)) {
			for i := first + at; i < first+min(at+publishBatch, n); i++ {
				id := fmt.Sprintf("m%d", i)
				batch = append(batch, medispatcher.Message{ID: id, Topic: "t", Body: bodyOf(id)})
			}
			at += publishBatch
		}
		batch = w.publishOnce(batch)
		if w.t.Context().Err() != nil {
			return
		}
	}
}

// publishOnce publishes a batch once, records what is acknowledged, and returns the rest.
func (w *world) publishOnce(batch []medispatcher.Message) (left []medispatcher.Message) {
	var ids []string
	var err error
	within := publishWithin
	if w.o.replicated != nil {
		within = shortly
	}
	publish := func() bool {
		ctx, cancel := context.WithTimeout(w.t.Context(), within)
		defer cancel()
		ids, err = w.store.PublishAll(ctx, batch)
		return err == nil
	}
	if w.o.replicated != nil && !w.o.replicated(w.t, publish) {
		medispatcher.Sleep(w.t.Context(), 50*time.Millisecond)
		return batch
	} else if w.o.replicated == nil {
		publish()
	}
	w.mu.Lock()
	for i, m := range batch {
		if ids[i] == m.ID {
			w.accepted[m.ID] = true
		} else {
			left = append(left, m)
		}
	}
	w.mu.Unlock()
	if len(left) > 0 && err == nil {
		w.t.Errorf("%d messages were not accepted, and PublishAll returned no error", len(left))
	}
	if err != nil {
		medispatcher.Sleep(w.t.Context(), 50*time.Millisecond)
	}
	return left
}

// publishing publishes in the background. The test must call wait.
func (w *world) publishing(first, n int, over time.Duration) (wait func()) {
	done := make(chan struct{})
	go func() { defer close(done); w.publish(first, n, over) }()
	w.t.Cleanup(func() { <-done })
	return func() { <-done }
}

// kill ends a dispatcher as a crash does and starts another.
func (w *world) kill(d **dispatcher) {
	w.t.Helper()
	w.kills = append(w.kills, (*d).kill())
	*d = w.start()
}

// doomed counts the deliveries whose attempts all fail by the plan.
func (w *world) doomed() (n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for id := range w.accepted {
		for _, sub := range w.subs {
			if w.plan.dooms(delivery{sub, id}, attempts) {
				n++
			}
		}
	}
	return n
}

// await waits until everything accepted is delivered or a dead letter, and nothing but
// dead letters is left in Redis.
func (w *world) await(within time.Duration) {
	w.t.Helper()
	w.mu.Lock()
	want := len(w.accepted) * len(w.subs)
	w.mu.Unlock()
	doomed := w.doomed()
	deadline := time.After(within)
	for w.took() < want-doomed {
		select {
		case <-w.news:
		case <-deadline:
			w.t.Errorf("got %d deliveries after %s, want %d; left in Redis: %s", w.took(), within, want-doomed, w.left(doomed))
			return
		}
	}
	for end := time.Now().Add(30 * time.Second); ; pause(20 * time.Millisecond) {
		left := w.left(doomed)
		if left == "" {
			return
		}
		if time.Now().After(end) {
			w.t.Errorf("left in Redis 30 s after the last delivery: %s", left)
			return
		}
	}
}

// left describes what is not settled yet; it is empty when everything is.
func (w *world) left(doomed int) string {
	// First incoming: what leaves it in between is seen in the channels.
	incoming, err := report.New(w.store).IncomingStatus(w.t.Context())
	if err != nil {
		return err.Error()
	}
	channels, err := report.New(w.store).ChannelStatus(w.t.Context(), w.subs)
	if err != nil {
		return err.Error()
	}
	var left []string
	dead := 0
	for _, c := range channels {
		dead += int(c.Dead)
		if c.Ready+c.Buried+c.Retrying > 0 {
			left = append(left, fmt.Sprintf("%+v", c))
		}
	}
	if incoming.Ready+incoming.Buried+incoming.Delayed+incoming.Quarantine > 0 {
		left = append(left, fmt.Sprintf("incoming %+v", incoming))
	}
	if dead < doomed {
		left = append(left, fmt.Sprintf("%d dead letters of %d", dead, doomed))
	}
	return strings.Join(left, ", ")
}

// healed waits until the killed dispatchers are forgotten. By then everything that they
// owned has been given back.
func (w *world) healed(alive int) {
	w.t.Helper()
	eventually(w.t, "the dead dispatchers are forgotten", func() bool {
		list, err := w.store.Dispatchers(w.t.Context())
		if err != nil {
			return false
		}
		for _, d := range list {
			if !d.Alive {
				return false
			}
		}
		return len(list) == alive
	})
}
