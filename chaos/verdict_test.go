package chaos_test

import (
	"fmt"
	"strings"
	"time"
)

// moment bounds two delays around a kill: from the acceptance of a message to the kill that keeps
// its dispatcher from settling it, and from the kill to the receiver's turn at a request that was
// sent before. Both usually take milliseconds, but much more on an overloaded machine.
func moment() time.Duration { return either(500*time.Millisecond, time.Second) }

// verdict compares what was accepted with what came.
type verdict struct {
	messages, lost, dead int
	duplicates           int
	underWay             int           // duplicates that were in flight at a kill
	justAccepted         int           // duplicates that were accepted shortly before a kill and not settled
	oldest               time.Duration // the longest time from such an acceptance to the kill
	unexplained          []string
}

func (v verdict) String() string {
	text := fmt.Sprintf("%d messages × %d, lost %d, duplicates %d", v.messages, subscribers, v.lost, v.duplicates)
	if v.duplicates > 0 {
		text += fmt.Sprintf(" (%d in flight at a kill, %d accepted up to %s before one)", v.underWay, v.justAccepted, v.oldest.Round(100*time.Microsecond))
	}
	return text + fmt.Sprintf(", dead letters %d", v.dead)
}

// judge compares what was accepted with what came. These are errors: a loss, a duplicate
// without a cause, an incomplete body, an attempt that was counted but not made, and a dead
// letter before its last attempt.
func (w *world) judge() (v verdict) {
	w.t.Helper()
	dead := w.deadLetters()
	w.receiver.mu.Lock()
	defer w.receiver.mu.Unlock()
	w.mu.Lock()
	defer w.mu.Unlock()
	v.messages, v.dead = len(w.accepted), len(dead)
	var lost []string
	for id := range w.accepted {
		for _, sub := range w.subs {
			d := delivery{sub, id}
			if len(w.got[d]) == 0 && !dead[d] {
				v.lost++
				lost = append(lost, fmt.Sprint(d))
			}
			for i := range max(0, len(w.got[d])-1) {
				v.duplicates++
				w.explain(&v, d, w.got[d][i])
			}
		}
	}
	for d := range w.got {
		if !w.accepted[d.id] {
			w.t.Errorf("%v came, but Redis did not acknowledge it to the producer", d)
		}
	}
	for d := range dead {
		for n := 1; n <= attempts; n++ {
			if !w.attempts[d][n] {
				w.t.Errorf("%v is a dead letter without attempt %d, want %d attempts", d, n, attempts)
			}
		}
	}
	for what, list := range map[string][]string{"lost": lost, "wrong": w.wrong, "duplicates without a cause": v.unexplained} {
		if len(list) > 0 {
			w.t.Errorf("%s: got %d, want none: %s", what, len(list), strings.Join(list[:min(10, len(list))], "; "))
		}
	}
	return v
}

// explain finds the kill that caused a duplicate of an earlier delivery.
func (w *world) explain(v *verdict, d delivery, before taken) {
	for _, k := range w.kills {
		switch age := k.from.Sub(before.ended); {
		case before.began.After(k.to.Add(moment())) || age > moment():
			continue
		case age > 0:
			v.justAccepted++
			v.oldest = max(v.oldest, age)
		default:
			v.underWay++
		}
		return
	}
	v.unexplained = append(v.unexplained, fmt.Sprintf("%v first taken from %s to %s", d, before.began.Format("05.000"), before.ended.Format("05.000")))
}

func (w *world) deadLetters() map[delivery]bool {
	w.t.Helper()
	dead := map[delivery]bool{}
	for _, sub := range w.subs {
		for after := ""; ; {
			letters, err := w.store.DeadLetters(w.t.Context(), sub, after, 500)
			if err != nil {
				w.t.Fatal(err)
			}
			if len(letters) == 0 {
				break
			}
			for _, l := range letters {
				d := delivery{sub, l.Message.ID}
				if dead[d] {
					w.t.Errorf("%v has two dead letters, want one", d)
				}
				dead[d] = true
				if l.Failure == nil || l.Failure.Attempts != attempts || string(l.Message.Body) != string(bodyOf(d.id)) {
					w.t.Errorf("dead letter %v: got failure %+v and a body of %d bytes, want %d attempts and the %d bytes that were sent",
						d, l.Failure, len(l.Message.Body), attempts, len(bodyOf(d.id)))
				}
			}
			after = letters[len(letters)-1].ID
		}
	}
	return dead
}

// rest checks that nothing but dead letters is left when no dispatcher runs any more: no
// entries, nothing pending, no due times, no failure records, no consumers but ~buried.
func (w *world) rest() {
	w.t.Helper()
	ctx := w.t.Context()
	c := w.env.Client
	var left []string
	for _, key := range w.env.Keys(w.t, "medis:{*") {
		_, name, _ := strings.Cut(key, "}:")
		if strings.HasPrefix(name, "dead:") || strings.HasPrefix(name, "seen:") || strings.HasPrefix(name, "active") {
			continue
		}
		if kind := c.Type(ctx, key).Val(); kind != "stream" {
			left = append(left, key+" ("+kind+")")
			continue
		}
		if n := c.XLen(ctx, key).Val(); n > 0 {
			left = append(left, fmt.Sprintf("%d entries in %s", n, key))
		}
		left = append(left, w.owners(key, true)...)
	}
	for _, d := range c.ZRange(ctx, "medis:dispatchers", 0, -1).Val() {
		left = append(left, "dispatcher "+d)
	}
	if len(left) > 0 {
		w.t.Errorf("left in Redis after all dispatchers stopped: %s", strings.Join(left[:min(10, len(left))], "; "))
	}
}

// owners lists the consumers of a stream other than ~buried that own entries, and those
// that own none if idle is set.
func (w *world) owners(key string, idle bool) (list []string) {
	ctx := w.t.Context()
	for _, g := range w.env.Client.XInfoGroups(ctx, key).Val() {
		for _, owner := range w.env.Client.XInfoConsumers(ctx, key, g.Name).Val() {
			if owner.Name != "~buried" && (idle || owner.Pending > 0) {
				list = append(list, fmt.Sprintf("%d entries of consumer %s in %s", owner.Pending, owner.Name, key))
			}
		}
	}
	return list
}
