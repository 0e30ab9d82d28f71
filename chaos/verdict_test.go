package chaos_test

import (
	"fmt"
	"strings"
	"time"
)

// moment is how long ago a message may have been accepted that comes again because its
// dispatcher was killed, and how long after a kill the receiver may get to a request that was
// sent before. Both are milliseconds; a machine that is busy with ten times the work it can
// do takes its time over them.
func moment() time.Duration { return either(500*time.Millisecond, time.Second) }

// verdict compares what was accepted with what came.
type verdict struct {
	messages, lost, dead int
	duplicates           int
	underWay             int // duplicates that were with the receiver when something was killed
	justAccepted         int // duplicates that had been answered, and not settled yet
	oldest               time.Duration
	unexplained          []string
}

func (v verdict) String() string {
	text := fmt.Sprintf("%d messages × %d, lost %d, duplicates %d", v.messages, subscribers, v.lost, v.duplicates)
	if v.duplicates > 0 {
		text += fmt.Sprintf(" (%d under way at a kill, %d accepted up to %s before one)", v.underWay, v.justAccepted, v.oldest.Round(100*time.Microsecond))
	}
	return text + fmt.Sprintf(", dead letters %d", v.dead)
}

// judge is the verdict. Any loss is an error, and so is a duplicate without a cause, a
// body that was not whole, an attempt that was counted and not made, and a dead letter
// whose attempts were not all made.
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
			w.t.Errorf("%v came, and nobody sent it", d)
		}
	}
	for d := range dead {
		for n := 1; n <= attempts; n++ {
			if !w.attempts[d][n] {
				w.t.Errorf("%v is dead, and attempt %d was never made", d, n)
			}
		}
	}
	for what, list := range map[string][]string{"lost": lost, "wrong": w.wrong, "a duplicate without a cause": v.unexplained} {
		if len(list) > 0 {
			w.t.Errorf("%s: %d: %s", what, len(list), strings.Join(list[:min(10, len(list))], "; "))
		}
	}
	return v
}

// explain finds the kill that is the cause of a repetition of what was taken before.
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
	v.unexplained = append(v.unexplained, fmt.Sprintf("%v taken from %s to %s", d, before.began.Format("05.000"), before.ended.Format("05.000")))
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
					w.t.Errorf("%v is dead twice", d)
				}
				dead[d] = true
				if l.Failure == nil || l.Failure.Attempts != attempts || string(l.Message.Body) != string(bodyOf(d.id)) {
					w.t.Errorf("%v is dead with the record %+v and a body of %d bytes", d, l.Failure, len(l.Message.Body))
				}
			}
			after = letters[len(letters)-1].ID
		}
	}
	return dead
}

// rest checks, when no dispatcher runs any more, that nothing is left but dead letters:
// no entry, nothing pending, no due time, no failure record, no consumer but ~buried.
func (w *world) rest() {
	w.t.Helper()
	ctx := w.t.Context()
	c := w.env.Client
	var left []string
	for _, key := range w.env.Keys(w.t, "medis:{*") {
		_, name, _ := strings.Cut(key, "}:")
		if strings.HasPrefix(name, "dead:") || strings.HasPrefix(name, "seen:") {
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
		w.t.Errorf("left in Redis: %s", strings.Join(left[:min(10, len(left))], "; "))
	}
}

// owners lists the consumers of a stream besides ~buried, those with nothing pending too
// if idle is set.
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
