package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/solate/medispatcher/streams/streamstest"
)

// logged is a line of the log.
type logged struct {
	Msg, Target, Subscription, First string
	Count                            int
}

// lines are those of the log that begin with a text.
func (r *running) lines(begin string) (found []logged) {
	r.t.Helper()
	in := bufio.NewScanner(strings.NewReader(r.logs.String()))
	for in.Scan() {
		var l logged
		if err := json.Unmarshal(in.Bytes(), &l); err != nil {
			r.t.Errorf("%s: %v", in.Text(), err)
		}
		if strings.HasPrefix(l.Msg, begin) {
			found = append(found, l)
		}
	}
	return found
}

// TestDaemonGathersLines: a host that many subscriptions push to is down. The log tells of the first few breakers and failures, and counts the
// others. Nothing of that is missing from the status and the metrics.
func TestDaemonGathersLines(t *testing.T) {
	t.Parallel()
	streamstest.Each(t, func(t *testing.T, env *streamstest.Env) {
		l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		target := "http://" + l.Addr().String()
		_ = l.Close() // nobody listens there any more
		const subs = 150
		r := startServe(t, []string{"MEDIS_REDIS_URL=" + env.URL}, "serve")
		var docs strings.Builder
		for i := range subs {
			fmt.Fprintf(&docs, `{"id":"s%d","topic":"t","urls":["%s/path/%d"]}`+"\n", i, target, i)
		}
		if code, answer := r.call(http.MethodPut, "/api/v1/subscriptions", docs.String()); code != http.StatusOK {
			t.Fatalf("%d %s", code, answer)
		}
		eventually(t, "in force", func() bool {
			lines := r.lines("subscriptions in force") // the first may have them already
			return len(lines) > 0 && lines[len(lines)-1].Count == subs
		})
		for range 10 {
			xadd(t, env, "topic", "t", "body", "x")
		}
		eventually(t, "all breakers are open", func() bool {
			_, answer := r.call(http.MethodGet, "/api/v1/status", "")
			return strings.Contains(answer, fmt.Sprintf(`"held_total":%d`, subs))
		})
		_, metrics := r.call(http.MethodGet, "/metrics", "")
		if n := strings.Count(metrics, "\nmedispatcher_breaker_open{"); n != subs {
			t.Errorf("/metrics has %d open breakers", n)
		}
		r.stop()
		for _, of := range []struct {
			one, many           string
			singly, least, most int
		}{
			{"breaker opened", "breakers opened", 20, subs, subs},
			{"push failed", "pushes failed", 100, 10 * subs, 20 * subs},
		} {
			one, many := r.lines(of.one), r.lines(of.many)
			sum := len(one)
			for _, l := range many {
				sum += l.Count
				if l.Target != target || l.First == "" {
					t.Errorf("%+v", l)
				}
			}
			// A machine that is busy may need more than one period.
			if sum < of.least || sum > of.most || len(many) == 0 || len(one) > of.singly*(len(many)+1) {
				t.Errorf("%s: %d lines, and %d that stand for several: %d in all, want %d", of.one, len(one), len(many), sum, of.least)
			}
		}
	})
}

// TestDaemonTellsOfVanishedSubscriptions: where all subscriptions vanish from Redis, and no command of ours removed them, a WARN says so once, and
// what to do.
func TestDaemonTellsOfVanishedSubscriptions(t *testing.T) {
	t.Parallel()
	streamstest.Each(t, func(t *testing.T, env *streamstest.Env) {
		r := startServe(t, []string{"MEDIS_REDIS_URL=" + env.URL}, "serve")
		const doc = `{"topic":"t","urls":["http://127.0.0.1:1/"]}`
		inForce := func(n int) {
			t.Helper()
			eventually(t, fmt.Sprint(n, " in force"), func() bool {
				last := r.lines("subscriptions in force")
				return len(last) > 0 && last[len(last)-1].Count == n
			})
		}
		told := func() (counts []int) {
			t.Helper()
			for _, l := range r.lines("all subscriptions vanished from Redis") {
				if !strings.Contains(l.Msg, "sub put --file") {
					t.Errorf("it does not say what to do: %s", l.Msg)
				}
				counts = append(counts, l.Count)
			}
			return counts
		}
		r.put("a", doc)
		r.put("b", doc)
		inForce(2)
		for _, id := range []string{"a", "b"} {
			if code, answer := r.call(http.MethodDelete, "/api/v1/subscriptions/"+id, ""); code/100 != 2 {
				t.Fatal(answer)
			}
		}
		inForce(0)
		if got := told(); got != nil {
			t.Errorf("told of subscriptions that were removed: %v", got)
		}
		r.put("a", doc)
		r.put("b", doc)
		inForce(2)
		if err := env.Client.Del(t.Context(), "medis:subscriptions").Err(); err != nil {
			t.Fatal(err)
		}
		inForce(0)
		r.put("a", doc)
		inForce(1)
		env.Flush(t)
		inForce(0)
		r.stop()
		if got := told(); !slices.Equal(got, []int{2, 1}) {
			t.Errorf("told of %v subscriptions that vanished, want [2 1]", got)
		}
	})
}

// TestDaemonTellsOfDeletedIncoming: the incoming stream is deleted by hand while the fan-out is behind. What was in it counts as vanished.
func TestDaemonTellsOfDeletedIncoming(t *testing.T) {
	t.Parallel()
	env := streamstest.Real(t) // miniredis does not count the entries added to a stream
	const n, incoming = 1000, "medis:{0}:incoming"
	r := startServe(t, []string{"MEDIS_REDIS_URL=" + env.URL}, "serve")
	do := func(args ...any) {
		t.Helper()
		if err := env.Client.Do(t.Context(), args...).Err(); err != nil {
			t.Fatal(err)
		}
	}
	xadd(t, env, "topic", "t", "body", "x")
	eventually(t, "moved", func() bool { return env.Client.XLen(t.Context(), incoming).Val() == 0 })
	do("SET", "medis:subscriptions", "unreadable") // nothing is fanned out
	for range n {
		xadd(t, env, "topic", "t", "body", "x")
	}
	eventually(t, "somebody looked", func() bool {
		ledger := env.Client.HGet(t.Context(), "medis:stats:{0}:total", "~ledger:~incoming").Val()
		return strings.Contains(ledger, fmt.Sprintf(" %d ", n))
	})
	do("DEL", incoming, "medis:subscriptions")
	eventually(t, "all are told of", func() bool {
		told := 0
		for _, l := range r.lines("messages were taken out of Redis by hand") {
			told += l.Count
		}
		if told > n {
			t.Fatalf("told of %d messages, want %d", told, n)
		}
		return told == n
	})
	r.stop()
}
