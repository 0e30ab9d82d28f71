package ledger_test

import (
	"fmt"
	"log/slog"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/alert"
	"github.com/solate/medispatcher/streams/streamstest"
)

var calls = regexp.MustCompile(`cmdstat_\S+:calls=(\d+),usec=(\d+)`)

// worked is how many commands Redis has run, including those in scripts, and how long they took.
func worked(b *testing.B, env *streamstest.Env) (commands, usec float64) {
	b.Helper()
	info, err := env.Client.Info(b.Context(), "commandstats").Result()
	if err != nil {
		b.Fatal(err)
	}
	for line := range strings.Lines(info) {
		if m := calls.FindStringSubmatch(line); m != nil && !strings.Contains(line, "cmdstat_info") {
			n, _ := strconv.ParseFloat(m[1], 64)
			us, _ := strconv.ParseFloat(m[2], 64)
			commands += n
			if !strings.Contains(line, "cmdstat_eval") { // its time includes that of the commands it calls
				usec += us
			}
		}
	}
	return commands, usec
}

// BenchmarkAlertRound evaluates the rules for 10,000 subscriptions on a real redis-server. Some of them
// were active lately, and one in ten of those has a backlog near its threshold.
func BenchmarkAlertRound(b *testing.B) {
	const all = 10_000
	env := streamstest.Real(b)
	store := env.Open(b, env.Config("me"))
	list := make([]medispatcher.Subscription, all)
	ids := make([]string, all)
	pipe := env.Client.Pipeline()
	now := time.Now().Unix()
	for i := range all {
		id := fmt.Sprintf("s%05d", i)
		ids[i] = id
		policy := medispatcher.DefaultSubscription().Alert
		policy.Backlog = 20
		list[i] = medispatcher.Subscription{ID: id, Alert: policy}
		n := 1
		if i%10 == 0 {
			n = 18
		}
		for range n {
			pipe.Do(b.Context(), "XADD", "medis:{0}:ch:"+id, "*", "topic", "a.b", "body", "x")
		}
		for age := range int64(5) {
			pipe.HSet(b.Context(), fmt.Sprintf("medis:stats:{0}:m%d", now/60-age), "failed:"+id, 3, "sent:"+id, 100)
		}
		if pipe.Len() > 5000 {
			if _, err := pipe.Exec(b.Context()); err != nil {
				b.Fatal(err)
			}
		}
	}
	if _, err := pipe.Exec(b.Context()); err != nil {
		b.Fatal(err)
	}
	subs := medispatcher.NewSubscriptions(list...)
	texts, err := alert.LoadTexts("")
	if err != nil {
		b.Fatal(err)
	}
	for _, active := range []int{0, 100, 1000, all} {
		b.Run(fmt.Sprintf("active=%d", active), func(b *testing.B) {
			m := alert.NewMonitor(alert.MonitorConfig{
				Host: "h", Texts: texts, Log: slog.New(slog.DiscardHandler), Active: func() []string { return ids[:active] },
				Thresholds:    alert.Thresholds{Incoming: 5000, IncomingAge: time.Minute, TotalBacklog: 1_000_000, Memory: 80, DispatcherLost: true, Every: time.Minute},
				Subscriptions: func() *medispatcher.Subscriptions { return subs },
			}, streamstest.AllOf(store))
			commands, usec := worked(b, env)
			for b.Loop() {
				if err := m.Round(b.Context()); err != nil {
					b.Fatal(err)
				}
			}
			more, muchLonger := worked(b, env)
			n := float64(b.N)
			b.ReportMetric((more-commands)/n, "commands/round")
			b.ReportMetric((muchLonger-usec)/n/1000, "redis-ms/round")
			b.ReportMetric(float64(b.Elapsed().Milliseconds())/n, "ms/round")
			b.ReportMetric(0, "ns/op")
		})
	}
}
