package streamstest

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/solate/medispatcher"
)

// Queue is what package push needs from a queue, and the Purge of an operator.
type Queue interface {
	Read(ctx context.Context, wants []medispatcher.Want) ([]medispatcher.Delivery, error)
	Due(ctx context.Context, p int, wants []medispatcher.Want) ([]medispatcher.Delivery, []time.Duration, error)
	Waiting(ctx context.Context, all func() []string) ([]medispatcher.Waiting, error)
	Miner
	Delete(ctx context.Context, p int, done []medispatcher.Settlement) (int64, error)
	Retry(ctx context.Context, p int, failures []medispatcher.Settlement) error
	Kill(ctx context.Context, p int, exhausted []medispatcher.Settlement) error
	Release(ctx context.Context, c medispatcher.Channel, entryIDs []string, leave bool) error
	Purge(ctx context.Context, sub string) (ready, buried int64, err error)
}

// Conform checks the behaviour that package push relies on. newQueue makes an empty queue, and a
// function that puts a READY message into it.
func Conform(t *testing.T, newQueue func(t *testing.T) (q Queue, put func(c medispatcher.Channel, m medispatcher.Message))) {
	t.Helper()
	c := medispatcher.Channel{Subscription: "s"}
	msg := medispatcher.Message{ID: "m1", Topic: "a.b", Body: []byte("x\xff\x00"), Type: "text/plain", Headers: map[string]string{"a": "b"}, Time: time.UnixMilli(1_700_000_000_000)}
	begin := func(t *testing.T) (*conformance, medispatcher.Delivery) {
		t.Helper()
		q, put := newQueue(t)
		cf := &conformance{t, q, c}
		cf.read(1) // creates the group of the channel
		put(c, msg)
		got := cf.read(5)
		if len(got) != 1 {
			t.Fatalf("read %d messages, want 1", len(got))
		}
		return cf, got[0]
	}
	settled := func(d medispatcher.Delivery, o medispatcher.Outcome, delay time.Duration) []medispatcher.Settlement {
		return []medispatcher.Settlement{{
			Channel: d.Channel, EntryID: d.EntryID, Outcome: o, Attempt: d.Attempt, Delay: delay,
			Failure: &medispatcher.Failure{Attempts: d.Attempt, LastError: "boom"},
		}}
	}
	t.Run("a message is read once, complete", func(t *testing.T) {
		cf, d := begin(t)
		if d.Attempt != 1 || d.Message.ID != "m1" || string(d.Message.Body) != string(msg.Body) || d.Message.Type != msg.Type ||
			d.Message.Headers["a"] != "b" || !d.Message.Time.Equal(msg.Time) || d.Message.Topic != "a.b" {
			t.Errorf("delivery %+v", d)
		}
		cf.want(0, 1, 1)
	})
	t.Run("deleted", func(t *testing.T) {
		cf, d := begin(t)
		for _, want := range []int64{1, 0} { // the second time there is nothing to delete
			if n, err := cf.q.Delete(t.Context(), 0, settled(d, medispatcher.Sent, 0)); n != want || err != nil {
				t.Errorf("deleted %d, %v; want %d", n, err, want)
			}
		}
		cf.want(0, 0, 0)
	})
	t.Run("failed, due at once", func(t *testing.T) {
		cf, d := begin(t)
		cf.ok(cf.q.Retry(t.Context(), 0, settled(d, medispatcher.Failed, 0)))
		cf.ok(cf.q.Retry(t.Context(), 0, settled(d, medispatcher.Failed, time.Hour))) // no longer owned
		due, next := cf.due()
		if len(due) != 1 || due[0].Attempt != 2 || due[0].Failure == nil || due[0].Failure.LastError != "boom" || next >= 0 {
			t.Errorf("due %+v, next %v", due, next)
		}
		cf.want(0, 1, 1)
	})
	t.Run("failed, and settled again during the next attempt", func(t *testing.T) {
		cf, d := begin(t)
		cf.ok(cf.q.Retry(t.Context(), 0, settled(d, medispatcher.Failed, 0))) // as if its reply were lost
		due, _ := cf.due()
		if len(due) != 1 || due[0].Attempt != 2 {
			t.Fatalf("due %+v", due)
		}
		cf.ok(cf.q.Retry(t.Context(), 0, settled(d, medispatcher.Failed, 0)))
		cf.ok(cf.q.Kill(t.Context(), 0, settled(d, medispatcher.Exhausted, 0)))
		cf.want(0, 1, 1)
		cf.ok(cf.q.Retry(t.Context(), 0, settled(due[0], medispatcher.Failed, 0)))
		if due, _ = cf.due(); len(due) != 1 || due[0].Attempt != 3 {
			t.Errorf("due %+v", due)
		}
	})
	t.Run("failed, due later", func(t *testing.T) {
		cf, d := begin(t)
		cf.ok(cf.q.Retry(t.Context(), 0, settled(d, medispatcher.Failed, time.Hour)))
		if due, next := cf.due(); len(due) != 0 || next < 59*time.Minute || next > time.Hour {
			t.Errorf("due %+v, next %v", due, next)
		}
		w, err := cf.q.Waiting(t.Context(), func() []string { return []string{"s", "other"} })
		if err != nil || len(w) != 1 || w[0].DueIn < 59*time.Minute {
			t.Errorf("waiting %+v, %v", w, err)
		}
		cf.want(0, 1, 0)
	})
	t.Run("dead", func(t *testing.T) {
		cf, d := begin(t)
		cf.ok(cf.q.Kill(t.Context(), 0, settled(d, medispatcher.Exhausted, 0)))
		cf.ok(cf.q.Kill(t.Context(), 0, settled(d, medispatcher.Exhausted, 0)))
		cf.want(0, 0, 0)
	})
	t.Run("released, the attempt not counted", func(t *testing.T) {
		cf, d := begin(t)
		cf.ok(cf.q.Release(t.Context(), c, []string{d.EntryID}, false))
		cf.ok(cf.q.Release(t.Context(), c, []string{d.EntryID}, false))
		if due, _ := cf.due(); len(due) != 1 || due[0].Attempt != 1 || due[0].Failure != nil {
			t.Errorf("due %+v", due)
		}
	})
	t.Run("purged while in flight: no outcome has an effect, also not on later messages", func(t *testing.T) {
		for _, outcome := range []medispatcher.Outcome{medispatcher.Sent, medispatcher.Failed, medispatcher.Exhausted, medispatcher.Released} {
			q, put := newQueue(t)
			cf := &conformance{t, q, c}
			cf.read(1)
			put(c, msg)
			put(c, medispatcher.Message{ID: "m2", Topic: "a.b"})
			d := cf.read(1)[0]
			if ready, buried, err := q.Purge(t.Context(), "s"); ready != 1 || buried != 1 || err != nil {
				t.Errorf("purged %d READY and %d BURIED, %v", ready, buried, err)
			}
			cf.settle(outcome, settled(d, outcome, 0)) // without a read before it, which might repair something
			put(c, medispatcher.Message{ID: "m3", Topic: "a.b"})
			if later := cf.read(5); len(later) != 1 {
				t.Fatalf("%d messages after the purge, want 1", len(later))
			}
			cf.settle(outcome, settled(d, outcome, 0))
			cf.want(0, 1, 1)
			if due, _ := cf.due(); len(due) != 0 {
				t.Errorf("%s: due %+v", outcome, due)
			}
		}
	})
}

type conformance struct {
	*testing.T
	q Queue
	c medispatcher.Channel
}

func (cf *conformance) ok(err error) {
	cf.Helper()
	if err != nil {
		cf.Fatal(err)
	}
}

// settle settles outcomes of entries that no longer exist.
func (cf *conformance) settle(outcome medispatcher.Outcome, list []medispatcher.Settlement) {
	cf.Helper()
	switch outcome {
	case medispatcher.Sent, medispatcher.Dropped:
		n, err := cf.q.Delete(cf.Context(), 0, list)
		cf.ok(err)
		if n != 0 {
			cf.Errorf("%d settled, want none", n)
		}
	case medispatcher.Failed:
		cf.ok(cf.q.Retry(cf.Context(), 0, list))
	case medispatcher.Exhausted:
		cf.ok(cf.q.Kill(cf.Context(), 0, list))
	case medispatcher.Released:
		cf.ok(cf.q.Release(cf.Context(), cf.c, []string{list[0].EntryID}, false))
	}
}

func (cf *conformance) read(n int) []medispatcher.Delivery {
	cf.Helper()
	wants := []medispatcher.Want{{Channel: cf.c, Max: n}}
	got, err := cf.q.Read(cf.Context(), wants)
	if errors.Is(err, medispatcher.ErrGroupCreated) {
		got, err = cf.q.Read(cf.Context(), wants)
	}
	cf.ok(err)
	return got
}

func (cf *conformance) due() ([]medispatcher.Delivery, time.Duration) {
	cf.Helper()
	due, next, err := cf.q.Due(cf.Context(), 0, []medispatcher.Want{{Channel: cf.c, Max: 5}})
	cf.ok(err)
	return due, next[0]
}

// want checks how many messages can be read, how many channels hold messages, and how many messages
// this process owns.
func (cf *conformance) want(ready, waiting, mine int) {
	cf.Helper()
	if got := cf.read(5); len(got) != ready {
		cf.Errorf("%d READY, want %d", len(got), ready)
	}
	w, err := cf.q.Waiting(cf.Context(), func() []string { return []string{cf.c.Subscription} })
	cf.ok(err)
	m, err := Mine(cf.Context(), cf.q, cf.c, 10)
	cf.ok(err)
	if len(w) != waiting || len(m) != mine {
		cf.Errorf("%d channels with messages, %d owned; want %d and %d", len(w), len(m), waiting, mine)
	}
}

// Miner says what it owns in channels.
type Miner interface {
	Mine(ctx context.Context, channels []medispatcher.Channel, limit int) []medispatcher.Mine
}

// Mine lists up to limit entries of one channel.
func Mine(ctx context.Context, of Miner, c medispatcher.Channel, limit int) ([]string, error) {
	mine := of.Mine(ctx, []medispatcher.Channel{c}, limit)[0]
	return mine.EntryIDs, mine.Err
}
