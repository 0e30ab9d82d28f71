package streams_test

import (
	"testing"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/streams"
	"github.com/solate/medispatcher/streams/streamstest"
)

// TestConformance runs the same cases on Redis and on the queue in memory that the tests of push use.
func TestConformance(t *testing.T) {
	t.Parallel()
	t.Run("memory", func(t *testing.T) {
		streamstest.Conform(t, func(*testing.T) (streamstest.Queue, func(medispatcher.Channel, medispatcher.Message)) {
			q := streamstest.NewMemory()
			return q, func(c medispatcher.Channel, m medispatcher.Message) { q.Put(c, m) }
		})
	})
	streamstest.EachAndCluster(t, func(t *testing.T, env *streamstest.Env) {
		streamstest.Conform(t, func(t *testing.T) (streamstest.Queue, func(medispatcher.Channel, medispatcher.Message)) {
			env.Flush(t)
			sc := newScene(t, env)
			return sc.Store, func(c medispatcher.Channel, m medispatcher.Message) {
				must[string](t)(sc.Store.Publish(t.Context(), m))
				var entries []streams.Entry
				for len(entries) == 0 {
					entries = must[[]streams.Entry](t)(sc.Store.ReadIncoming(t.Context(), 0, 1, false))
				}
				must[[]streams.Routed](t)(sc.Store.Fanout(t.Context(), 0, []streams.Routing{{EntryID: entries[0].ID, Message: m, Subs: []string{c.Subscription}}}))
			}
		})
	})
}
