package chaos_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/solate/medispatcher/streams/doctor"
	"github.com/solate/medispatcher/streams/report"
)

// stream is one of the world's streams with its group.
type stream struct{ key, group string }

func (w *world) streams() []stream {
	list := []stream{{"medis:{0}:incoming", "fanout"}}
	for _, sub := range w.subs {
		list = append(list, stream{"medis:{0}:ch:" + sub, "push"})
	}
	return list
}

// pending returns the ids of up to n pending entries, from a random place on.
func (w *world) pending(r *rand.Rand, s stream, n int) (ids []string) {
	list, err := w.env.Client.Do(w.t.Context(), "XPENDING", s.key, s.group, "-", "+", 500).Slice()
	if err != nil || len(list) == 0 {
		return nil
	}
	for _, e := range list[r.IntN(len(list)):] {
		if row, _ := e.([]any); len(ids) < n && len(row) == 4 {
			ids = append(ids, fmt.Sprint(row[0]))
		}
	}
	return ids
}

// types runs a command as a person would type it. Like a kill, it may cause duplicates of what is in flight.
func (w *world) types(command ...any) {
	from := time.Now()
	err := w.env.Client.Do(w.t.Context(), command...).Err()
	w.kills = append(w.kills, span{from, time.Now()})
	if err != nil {
		w.t.Logf("%v: %v", command, err)
	}
	w.typed = append(w.typed, fmt.Sprint(command[:min(4, len(command))]...))
}

func anys(first []any, ids []string) []any {
	for _, id := range ids {
		first = append(first, id)
	}
	return first
}

// TestTypedCommandsThatTakeOwnership: under load, while three attempts in ten fail, somebody types commands that take
// entries from their owners or move groups on. Every message is still in a stream, so every message arrives.
func TestTypedCommandsThatTakeOwnership(t *testing.T) {
	slow(t)
	s := theStorm()
	s.hits = either(40, 8)
	w := newWorld(t, s.options())
	d := []*dispatcher{w.start(), w.start()}
	v := s.run(t, w, d, func(r *rand.Rand) {
		at := w.streams()[r.IntN(1+subscribers)]
		switch r.IntN(6) {
		case 0, 1:
			if ids := w.pending(r, at, 1+r.IntN(50)); len(ids) > 0 {
				w.types(anys([]any{"XACK", at.key, at.group}, ids)...)
			}
		case 2:
			w.types("XGROUP", "DELCONSUMER", at.key, at.group, "~buried")
		case 3:
			if owners := w.env.Client.XInfoConsumers(t.Context(), at.key, at.group).Val(); len(owners) > 0 {
				w.types("XGROUP", "DELCONSUMER", at.key, at.group, owners[r.IntN(len(owners))].Name)
			}
		case 4:
			w.types("XGROUP", "SETID", at.key, at.group, "$")
		case 5:
			w.types("XGROUP", "DESTROY", at.key, at.group)
			w.types("XGROUP", "CREATE", at.key, at.group, "$")
		}
	})
	given := w.counted(t, "unowned:")
	if given == 0 {
		t.Error("no entry was counted as given back, want some")
	}
	t.Logf("%d commands typed by hand: %s; %d given back to owners", len(w.typed), v, given)
	figures.add("%d commands typed by hand that take entries from their owners: %s; %d given back", len(w.typed), v, given)
	if t.Failed() {
		t.Log(strings.Join(w.typed, "\n"))
	}
}

// counted returns the sum of the dispatchers' counts whose names have a prefix.
func (w *world) counted(t *testing.T, prefix string) (n int) {
	t.Helper()
	counts, err := report.New(w.store).Counts(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for what, c := range counts {
		if strings.HasPrefix(what, prefix) {
			n += int(c)
		}
	}
	return n
}

// TestTypedCommandsThatTakeMessagesOut: under load somebody trims streams and deletes entries. The messages that are
// missing at the end are counted and logged, and the doctor names them. All others arrive.
func TestTypedCommandsThatTakeMessagesOut(t *testing.T) {
	slow(t)
	s := theStorm()
	s.hits = either(20, 5)
	o := s.options()
	o.delay = 20 * time.Millisecond // so that messages wait
	w := newWorld(t, o)
	d := []*dispatcher{w.start(), w.start()}
	r := moments(t)
	sent := w.publishing(0, s.messages, s.over)
	for hit := range s.hits {
		pause(between(r, s.low, s.high))
		at := w.streams()[1+r.IntN(subscribers)]
		switch hit % 3 {
		case 0:
			w.types("XTRIM", at.key, "MAXLEN", w.env.Client.XLen(t.Context(), at.key).Val()/2)
		case 1:
			if ids := w.pending(r, at, 1+r.IntN(20)); len(ids) > 0 {
				w.types(anys([]any{"XDEL", at.key}, ids)...)
			}
		case 2:
			w.types("XADD", w.streams()[0].key, "MAXLEN", 0, "*", "topic", "nobody.cares", "body", "x")
		}
	}
	sent()
	w.settled(90 * time.Second)
	missing := w.missing()
	counted := func() int {
		return w.counted(t, "vanished:") + (subscribers-1)*w.counted(t, "vanished:~incoming")
	}
	eventually(t, fmt.Sprintf("the %d missing deliveries are counted", missing), func() bool { return counted() >= missing })
	w.healed(len(d))
	if missing == 0 {
		t.Error("no delivery is missing, want some: the commands removed nothing")
	}
	logged := 0
	for i := range d {
		d[i].alive()
		d[i].stop()
		logged += strings.Count(d[i].log(), "messages were taken out of Redis by hand")
	}
	if logged == 0 || logged > 100 {
		t.Errorf("%d log lines report missing messages, want 1 to 100", logged)
	}
	x, err := doctor.Examine(t.Context(), w.store, doctor.Checkup{})
	if err != nil {
		t.Fatal(err)
	}
	named := false
	for _, f := range x.Findings {
		named = named || f.Check == "vanished" && f.Level == doctor.LevelWarning
	}
	if !named {
		t.Errorf("the doctor's findings have no warning of vanished messages: %+v", x.Findings)
	}
	t.Logf("%d of %d deliveries are missing, %d counted as vanished, %d lines", missing, len(w.accepted)*subscribers, counted(), logged)
	figures.add("messages taken out by hand %d times: %d of %d deliveries are missing, %d counted as vanished", s.hits, missing, len(w.accepted)*subscribers, counted())
	w.rest()
}

// settled waits until everything in Redis is settled.
func (w *world) settled(within time.Duration) {
	w.t.Helper()
	var left string
	for end := time.Now().Add(within); time.Now().Before(end); pause(50 * time.Millisecond) {
		if left = w.left(0); left == "" {
			return
		}
	}
	w.t.Fatalf("not settled after %s: %s", within, left)
}

// missing counts the deliveries that neither came nor became dead letters.
func (w *world) missing() (n int) {
	dead := w.deadLetters()
	w.receiver.mu.Lock()
	defer w.receiver.mu.Unlock()
	for id := range w.accepted {
		for _, sub := range w.subs {
			if at := (delivery{sub, id}); len(w.got[at]) == 0 && !dead[at] {
				n++
			}
		}
	}
	return n
}
