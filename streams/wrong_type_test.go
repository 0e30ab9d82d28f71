package streams_test

import (
	"testing"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/streams"
	"github.com/solate/medispatcher/streams/streamstest"
)

// TestSettleBesideAWrongType: an outcome that does not need a key of a wrong type is noted as a whole.
func TestSettleBesideAWrongType(t *testing.T) {
	t.Parallel()
	streamstest.EachAndCluster(t, func(t *testing.T, env *streamstest.Env) {
		for _, key := range []string{"retry", "failures"} {
			for _, outcome := range []medispatcher.Outcome{medispatcher.Sent, medispatcher.Exhausted, medispatcher.Failed} {
				if key == "retry" && outcome == medispatcher.Failed {
					continue // it needs a due time
				}
				t.Run(key+" "+outcome.String(), func(t *testing.T) {
					env.Flush(t)
					sc := newScene(t, env)
					copyKeyed(t, sc, "a:1", "a:2")
					got := read(t, sc.Store)
					check(t, sc.Client.Set(sc.Ctx, "medis:{0}:"+key+":s", "x", 0).Err())
					list := settlement(got[0].EntryID, outcome)
					list[0].Delay = 0
					want := ""
					switch outcome {
					case medispatcher.Sent:
						check(t, second(sc.Store.Delete(sc.Ctx, 0, list)))
						want = "2"
					case medispatcher.Exhausted:
						check(t, sc.Store.Kill(sc.Ctx, 0, list))
						want = "2"
					default:
						check(t, sc.Store.Retry(sc.Ctx, 0, list))
						due, _, err := sc.Store.Due(sc.Ctx, 0, []medispatcher.Want{{Channel: channelS, Max: 10}})
						check(t, err)
						expect(t, "due", bodies(due), "1")
					}
					expect(t, "the next of its key", bodies(read(t, sc.Store)), want)
					if n := sc.Client.HGet(sc.Ctx, "medis:stats:{0}:total", outcome.String()+":s").Val(); n != "1" {
						t.Errorf("counted %q times", n)
					}
				})
			}
		}
	})
}

// TestDueBesideAWrongType: a key of a wrong type holds up the retries of no other subscription.
func TestDueBesideAWrongType(t *testing.T) {
	t.Parallel()
	streamstest.EachAndCluster(t, func(t *testing.T, env *streamstest.Env) {
		for _, key := range []string{"ch", "retry", "failures"} {
			t.Run(key, func(t *testing.T) {
				env.Flush(t)
				sc := newScene(t, env)
				id := sc.Incoming(t, "topic", "a.b", "body", "x")
				must[[]streams.Routed](t)(sc.Store.Fanout(sc.Ctx, 0, []streams.Routing{{EntryID: id, Message: message("a.b"), Subs: []string{"other", "s"}}}))
				wants := []medispatcher.Want{{Channel: medispatcher.Channel{Subscription: "other"}, Max: 10}, {Channel: channelS, Max: 10}}
				for _, w := range wants {
					got := must[[]medispatcher.Delivery](t)(sc.Store.Read(sc.Ctx, []medispatcher.Want{w}))
					list := settlement(got[0].EntryID, medispatcher.Failed)
					list[0].Channel, list[0].Delay = w.Channel, 0
					check(t, sc.Store.Retry(sc.Ctx, 0, list))
				}
				check(t, sc.Client.Set(sc.Ctx, "medis:{0}:"+key+":other", "x", 0).Err())
				due, _, err := sc.Store.Due(sc.Ctx, 0, wants)
				check(t, err)
				if len(due) == 0 || due[len(due)-1].Subscription != "s" {
					t.Errorf("due: %v", due)
				}
			})
		}
	})
}

// TestWaitingForAChannel: what waits in a line stays there while its channel cannot take it.
func TestWaitingForAChannel(t *testing.T) {
	t.Parallel()
	streamstest.Each(t, func(t *testing.T, env *streamstest.Env) {
		sc := newScene(t, env)
		copyKeyed(t, sc, "a:1", "a:2", "a:3")
		check(t, sc.Client.Del(sc.Ctx, "medis:{0}:line:s").Err())
		check(t, sc.Client.Do(sc.Ctx, "XADD", "medis:{0}:ch:s", "18446744073709551615-18446744073709551615", "topic", "a.b", "body", "x").Err())
		for range 2 {
			if _, err := sc.Store.Straighten(sc.Ctx, channelS, false); err == nil {
				t.Error("it went on")
			}
		}
		check(t, sc.Client.Del(sc.Ctx, "medis:{0}:ch:s").Err())
		straighten(t, sc, false)
		expect(t, "in the channel", bodies(read(t, sc.Store)), "2 3")
	})
}
