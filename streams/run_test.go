package streams_test

import (
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/streams"
	"github.com/solate/medispatcher/streams/report"
	"github.com/solate/medispatcher/streams/streamstest"
)

// readRuns lets a dispatcher read "s", with what waits behind each message.
func readRuns(t *testing.T, s *streams.Store, most int) []medispatcher.Delivery {
	t.Helper()
	return must[[]medispatcher.Delivery](t)(s.Read(t.Context(), []medispatcher.Want{{Channel: channelS, Max: most, Runs: true}}))
}

// dueRuns is readRuns of due messages. It waits for those that are due within a second: the clocks of two stores may be some ms apart.
func dueRuns(t *testing.T, s *streams.Store, most int) []medispatcher.Delivery {
	t.Helper()
	for {
		due, next, err := s.Due(t.Context(), 0, []medispatcher.Want{{Channel: channelS, Max: most, Runs: true}})
		check(t, err)
		if len(due) > 0 || next[0] < 0 || next[0] > time.Second {
			return due
		}
		time.Sleep(max(next[0], time.Millisecond))
	}
}

// shown are messages with those behind them, as "a1+a2+a3".
func shown(list []medispatcher.Delivery) string {
	var out []string
	for _, d := range list {
		text := string(d.Message.Body)
		for _, r := range d.Run {
			text += "+" + string(r.Message.Body)
			if r.Attempt > 1 {
				text += fmt.Sprintf("(%d)", r.Attempt)
			}
		}
		if d.PutOff() {
			text += fmt.Sprintf(" put off after %d", d.Tried)
		}
		out = append(out, text)
	}
	return strings.Join(out, " ")
}

// outcomes are what becomes of a message and of those behind it: s(ent), f(ailed), r(eleased), d(ead).
func outcomes(d medispatcher.Delivery, what string) []medispatcher.Settlement {
	kinds := map[rune]medispatcher.Outcome{'s': medispatcher.Sent, 'f': medispatcher.Failed, 'r': medispatcher.Released, 'd': medispatcher.Exhausted}
	of := func(d medispatcher.Delivery, kind rune) medispatcher.Settlement {
		s := settlement(d.EntryID, kinds[kind])[0]
		s.Attempt, s.Delay, s.Message = d.Attempt, 0, &d.Message
		if kind == 'f' {
			s.Failure = &medispatcher.Failure{Attempts: d.Attempt, LastError: "no"}
		}
		return s
	}
	var out medispatcher.Settlement
	for i, kind := range what {
		if i == 0 {
			out = of(d, kind)
			out.RunFrom = d.RunFrom
			continue
		}
		out.Run = append(out.Run, of(d.Run[i-1], kind))
	}
	return []medispatcher.Settlement{out}
}

// eachLayout runs a test with copies of both layouts.
func eachLayout(t *testing.T, f func(t *testing.T, sc *scene)) {
	t.Helper()
	for _, layout := range []int{1, 2} {
		t.Run(fmt.Sprint("layout ", layout), func(t *testing.T) {
			t.Parallel()
			streamstest.Each(t, func(t *testing.T, env *streamstest.Env) {
				sc := newScene(t, env)
				sc.Store.WriteLayout(layout)
				f(t, sc)
			})
		})
	}
}

// TestRun: what waits behind a message is read with it and stays where it is. Each has an outcome of its own, and what is left goes on
// in its order.
func TestRun(t *testing.T) {
	t.Parallel()
	eachLayout(t, func(t *testing.T, sc *scene) {
		copyKeyed(t, sc, "a:a1", "b:b1", ":free", "a:a2", "a:a3", "b:b2", "a:a4", "a:a5")
		got := readRuns(t, sc.Store, 7)
		expect(t, "evenly", shown(got), "a1+a2+a3 b1+b2 free")
		free, other := got[2], sc.Open(t, sc.Config("other"))
		expect(t, "nobody else gets anything", shown(readRuns(t, other, 9)), "")
		failed := outcomes(got[0], "fsf")
		for range 2 { // a repetition changes nothing
			check(t, sc.Store.Retry(sc.Ctx, 0, failed))
		}
		check(t, second(sc.Store.Delete(sc.Ctx, 0, outcomes(got[1], "sf"))))
		at := must[medispatcher.Story](t)(report.New(sc.Store).Story(sc.Ctx, got[0].Run[1].Message.WebhookID(), []string{"s"})).Places
		if len(at) != 1 || at[0].Attempt != 2 || at[0].Failure == nil || at[0].Failure.LastError != "no" {
			t.Errorf("one that failed behind another is at %+v", at)
		}
		b2 := readRuns(t, other, 9)
		expect(t, "failed behind one that was accepted", shown(b2), "b2 put off after 1")
		due := dueRuns(t, other, 9)
		expect(t, "the retry", shown(due), "a1+a3(2)+a4+a5")
		if f := due[0].Run[0].Failure; f == nil || f.Attempts != 1 || f.LastError != "no" {
			t.Errorf("failed with %+v", f)
		}
		putOff := medispatcher.Settlement{Channel: channelS, EntryID: b2[0].EntryID, Attempt: 1, Outcome: medispatcher.Failed, Failure: b2[0].Failure, Next: 2, Due: time.Now().Add(-time.Second)}
		check(t, other.Retry(sc.Ctx, 0, []medispatcher.Settlement{putOff}))
		b2 = dueRuns(t, other, 9)
		expect(t, "put off, and due", shown(b2), "b2")
		if b2[0].Attempt != 2 || b2[0].Failure.LastError != "no" {
			t.Errorf("%+v", b2[0])
		}
		check(t, other.Kill(sc.Ctx, 0, outcomes(b2[0], "d")))
		check(t, other.Retry(sc.Ctx, 0, outcomes(due[0], "ffrr")))
		due = dueRuns(t, sc.Store, 3)
		expect(t, "no more than asked for", shown(due), "a1+a3(3)+a4")
		check(t, second(sc.Store.Delete(sc.Ctx, 0, outcomes(due[0], "sss"))))
		got = readRuns(t, sc.Store, 3)
		expect(t, "the last one", shown(got), "a5")
		check(t, second(sc.Store.Delete(sc.Ctx, 0, outcomes(got[0], "s"))))
		check(t, second(sc.Store.Delete(sc.Ctx, 0, outcomes(free, "s"))))
		if left := sc.Client.HGetAll(sc.Ctx, "medis:{0}:line:s").Val(); !maps.Equal(left, map[string]string{"~": "on", "~runs": ""}) {
			t.Errorf("left: %v", left)
		}
	})
}

// TestRunIsKicked: what failed behind others is due with the one that they wait for, not one after another.
func TestRunIsKicked(t *testing.T) {
	t.Parallel()
	eachLayout(t, func(t *testing.T, sc *scene) {
		copyKeyed(t, sc, "a:a1", "a:a2", "a:a3", "a:a4", "a:a5", "b:b1", "b:b2")
		got := readRuns(t, sc.Store, 9)
		expect(t, "read", shown(got), "a1+a2+a3+a4+a5 b1+b2")
		failed := outcomes(got[0], "ffff")
		for i := range failed[0].Run {
			failed[0].Run[i].Delay = time.Hour
		}
		failed[0].Delay = time.Hour
		check(t, sc.Store.Retry(sc.Ctx, 0, append(failed, outcomes(got[1], "f")...)))
		if n := must[int](t)(sc.Store.Orphans(sc.Ctx, channelS, true, true)); n != 4 {
			t.Errorf("a dry run counts %d", n)
		}
		expect(t, "a dry run changes nothing", shown(dueRuns(t, sc.Store, 9)), "b1+b2")
		for _, want := range []int{4, 0} {
			if n := must[int](t)(sc.Store.Orphans(sc.Ctx, channelS, true, false)); n != want {
				t.Errorf("%d are due now, want %d", n, want)
			}
		}
		got = dueRuns(t, sc.Store, 9)
		expect(t, "due", shown(got), "a1+a2(2)+a3(2)+a4(2)+a5")
		if f := got[0].Run[2].Failure; f == nil || f.Attempts != 1 || f.LastError != "no" {
			t.Errorf("failed with %+v", f)
		}
	})
}

// TestManyAreKicked: no step looks at more than 1,024 copies, however short they are.
func TestManyAreKicked(t *testing.T) {
	t.Parallel()
	streamstest.Each(t, func(t *testing.T, env *streamstest.Env) {
		sc := newScene(t, env)
		const many, copied = 2500, "5:topic3:a.b6:~tried18:1 4102444800000 {}4:body1:x"
		wait := []any{"7:b", copied}
		for i := range many {
			wait = append(wait, fmt.Sprintf("%d:a", i+1), copied)
		}
		check(t, sc.Client.HSet(sc.Ctx, "medis:{0}:line:s", "~", "on", "ca", fmt.Sprintf("1 1 %d", many), "cb", "1 7 7").Err())
		check(t, sc.Client.HSet(sc.Ctx, "medis:{0}:wait:s", wait...).Err())
		kick := func(want int) {
			t.Helper()
			if n := must[int](t)(sc.Store.Orphans(sc.Ctx, channelS, true, false)); n != want {
				t.Errorf("%d are due now, want %d", n, want)
			}
		}
		kick(many + 1)
		for place, is := range sc.Client.HGetAll(sc.Ctx, "medis:{0}:wait:s").Val() {
			if strings.Contains(is, "4102444800000") {
				t.Fatalf("%s is not due", place)
			}
		}
		if sc.Client.ConfigResetStat(sc.Ctx).Err() != nil {
			return // miniredis counts no commands
		}
		kick(0)
		calls := 0
		_, stats, _ := strings.Cut(sc.Client.Info(sc.Ctx, "commandstats").Val(), "cmdstat_evalsha:calls=")
		if _, err := fmt.Sscan(strings.ReplaceAll(stats, ",", " "), &calls); err != nil || calls != 4 { // three for the line, one for the channel
			t.Errorf("%d steps, %v", calls, err)
		}
	})
}

// TestRunEnds: before a message whose next attempt is not due. There is no run as long as several messages of a key are in the channel.
func TestRunEnds(t *testing.T) {
	t.Parallel()
	eachLayout(t, func(t *testing.T, sc *scene) {
		for _, body := range []string{"a1", "a2"} {
			r := keyed(t, sc, "a", body)
			r.Ordered = nil
			check(t, fanout(sc, r))
		}
		copyKeyed(t, sc, "a:a3", "a:a4", "a:a5", "b:b1", "b:b2")
		got := readRuns(t, sc.Store, 9)
		expect(t, "nobody knows yet what is in the channel", shown(got), "a1 a2")
		check(t, sc.Store.Retry(sc.Ctx, 0, outcomes(got[0], "f")))
		check(t, sc.Client.HSet(sc.Ctx, "medis:{0}:line:s", "~", "walk "+got[0].EntryID, "b"+got[0].EntryID, "a", "ca", "1 1 3").Err())
		got[0] = dueRuns(t, sc.Store, 9)[0]
		expect(t, "a2 is not known yet", shown(got), "a1 a2")
		straighten(t, sc, true)
		check(t, sc.Store.Retry(sc.Ctx, 0, append(outcomes(got[0], "f"), outcomes(got[1], "f")...)))
		got = dueRuns(t, sc.Store, 9)
		expect(t, "two are in it", shown(got), "a1 a2")
		check(t, second(sc.Store.Delete(sc.Ctx, 0, outcomes(got[0], "s"))))
		check(t, sc.Store.Retry(sc.Ctx, 0, outcomes(got[1], "f")))
		got = dueRuns(t, sc.Store, 9)
		expect(t, "one is left", shown(got), "a2+a3+a4+a5")
		failed := outcomes(got[0], "fff")
		failed[0].Run[1].Delay = time.Hour
		check(t, sc.Store.Retry(sc.Ctx, 0, failed))
		expect(t, "a4 is not due", shown(dueRuns(t, sc.Store, 9)), "a2+a3(2)")
	})
}

// TestRunOfAnother: whoever lost the first message, or never had it, notes no failures behind it. What it delivered is delivered.
func TestRunOfAnother(t *testing.T) {
	t.Parallel()
	eachLayout(t, func(t *testing.T, sc *scene) {
		copyKeyed(t, sc, "a:a1", "a:a2", "a:a3", "a:a4")
		late := readRuns(t, sc.Store, 9)
		check(t, third(sc.Store.GiveBack(sc.Ctx, channelS, sc.Store.ID(), 10)))
		other := sc.Open(t, sc.Config("other"))
		got := dueRuns(t, other, 9)
		expect(t, "given back", shown(got), "a1+a2+a3+a4")
		check(t, sc.Store.Retry(sc.Ctx, 0, outcomes(late[0], "ffsf")))
		check(t, other.Retry(sc.Ctx, 0, outcomes(got[0], "fsff")))
		got = dueRuns(t, other, 9)
		expect(t, "a3 was delivered by the first, so the numbers of the second say nothing", shown(got), "a1+a2+a4")
		check(t, third(sc.Store.Purge(sc.Ctx, "s")))
		copyKeyed(t, sc, "a:a5", "a:a6", "a:a7")
		check(t, second(other.Delete(sc.Ctx, 0, outcomes(got[0], "sss"))))
		expect(t, "after a purge", shown(readRuns(t, other, 9)), "a5+a6+a7")
	})
}

// TestRunSwitchedOff: when a subscription is no longer ordered, what may be in flight behind another stays where it is until that one
// is settled, so it is not delivered twice. Everything else flows at once.
func TestRunSwitchedOff(t *testing.T) {
	t.Parallel()
	eachLayout(t, func(t *testing.T, sc *scene) {
		copyKeyed(t, sc, "a:a1", "b:b1", "c:c1", "a:a2", "a:a3", "b:b2", "c:c2")
		other := sc.Open(t, sc.Config("other"))
		got := readRuns(t, sc.Store, 2)
		expect(t, "alone", shown(got), "a1 b1")
		check(t, sc.Store.Retry(sc.Ctx, 0, outcomes(got[0], "f")))
		got[0] = dueRuns(t, sc.Store, 9)[0]
		expect(t, "in flight", shown(got[:1]), "a1+a2+a3")
		straightenSoon := func() bool {
			_, err := sc.Store.Straighten(sc.Ctx, channelS, false)
			if err != nil && !streams.IsInHand(err) {
				t.Fatal(err)
			}
			return err != nil
		}
		if !straightenSoon() {
			t.Error("nothing is in flight")
		}
		expect(t, "what is not", bodies(readRuns(t, other, 9)), "b2 c1 c2")
		check(t, sc.Store.Retry(sc.Ctx, 0, outcomes(got[0], "fsf")))
		if straightenSoon() {
			t.Error("something is in flight")
		}
		due := dueRuns(t, other, 9)
		expect(t, "after its outcome", shown(due)+", "+shown(readRuns(t, other, 9)), "a1, a3 put off after 1")
		if n := sc.Client.Exists(sc.Ctx, "medis:{0}:wait:s", "medis:{0}:line:s").Val(); n != 0 {
			t.Error("lines are left")
		}
	})
}

// TestRunIsAudited: a message that was delivered from behind another never was in the channel. The audit finds what somebody takes out
// of the channel meanwhile all the same.
func TestRunIsAudited(t *testing.T) {
	t.Parallel()
	env := streamstest.Real(t)
	sc := newScene(t, env)
	audit := func() (lost int64) {
		check(t, sc.Store.AuditChannels(sc.Ctx, 0, []string{"s"}))
		for _, v := range sc.Store.TakeVanished() {
			lost += v.Count
		}
		return lost
	}
	copyKeyed(t, sc, "a:a1", "a:a2", "a:a3", "b:b1")
	audit()
	got := readRuns(t, sc.Store, 9)
	check(t, second(sc.Store.Delete(sc.Ctx, 0, outcomes(got[0], "sss"))))
	check(t, sc.Client.XDel(sc.Ctx, "medis:{0}:ch:s", got[1].EntryID).Err())
	if n := audit(); n != 1 {
		t.Errorf("%d vanished, want 1", n)
	}
}

// TestRunIsBounded: a run is no more than about a megabyte, and what failed of several of them is written in several steps.
func TestRunIsBounded(t *testing.T) {
	t.Parallel()
	eachLayout(t, func(t *testing.T, sc *scene) {
		large := strings.Repeat("x", 300<<10)
		for _, key := range []string{"a", "b"} {
			for n := range 8 {
				copyKeyed(t, sc, fmt.Sprintf("%s:%d%s", key, n, large))
			}
		}
		total := 0
		var failed []medispatcher.Settlement
		for range 2 {
			got := readRuns(t, sc.Store, 100)
			if len(got) == 0 {
				got = dueRuns(t, sc.Store, 100)
			}
			for _, d := range got {
				total += len(d.Run)
				failed = append(failed, outcomes(d, "f"+strings.Repeat("f", len(d.Run)))...)
			}
			n := evals(sc)
			check(t, sc.Store.Retry(sc.Ctx, 0, failed))
			failed = nil
			if *n < 2 {
				t.Errorf("%d steps", *n)
			}
		}
		if total < 4 || total > 10 {
			t.Errorf("%d messages in all runs", total)
		}
	})
}
