package streams_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/streams/report"
	"github.com/solate/medispatcher/streams/streamstest"
)

// TestReadAt: a message is read whole wherever it waits, by what its story says of the place.
func TestReadAt(t *testing.T) {
	t.Parallel()
	streamstest.Each(t, func(t *testing.T, env *streamstest.Env) {
		store := env.Open(t, env.Config("me"))
		const body = "\x00\xff{\"a\":1}\n\n"
		for name, key := range map[string]string{
			"incoming/0-%s": "medis:{0}:incoming", "channel/s/0-%s": "medis:{0}:ch:s", "dead/s/0-%s": "medis:{0}:dead:s", "unrouted/0-%s": "medis:{0}:unrouted",
			"archive/0-%s": "medis:{0}:archive",
		} {
			id := must[string](t)(env.Client.Do(t.Context(), "XADD", key, "*", "topic", "a.b", "body", body, "id", "p-1", "headers", `{"x":"1"}`).Text())
			at := must[medispatcher.Place](t)(medispatcher.ParseRef(fmt.Sprintf(name, id)))
			found := must[medispatcher.Found](t)(store.ReadAt(t.Context(), at))
			if m := found.Message; m.ID != "p-1" || m.Topic != "a.b" || string(m.Body) != body || m.Headers["x"] != "1" || found.Place.Ref() != at.Ref() {
				t.Errorf("%s: %+v", name, found)
			}
			check(t, env.Client.XDel(t.Context(), key, id).Err())
			if _, err := store.ReadAt(t.Context(), at); !errors.Is(err, medispatcher.ErrNotFound) {
				t.Errorf("%s, gone: %v", name, err)
			}
		}

		// A quarantined one by its raw fields, a delayed one by its packed ones.
		id := must[string](t)(env.Client.Do(t.Context(), "XADD", "medis:{0}:quarantine", "*", "reason", "r", "source", "5-1", "tropic", "a.b", "body", body).Text())
		found := must[medispatcher.Found](t)(store.ReadAt(t.Context(), must[medispatcher.Place](t)(medispatcher.ParseRef("quarantine/0-"+id))))
		if string(found.Message.Body) != body || found.Message.ID != "0-5-1" || found.Place.Reason != "r" {
			t.Errorf("quarantined: %+v", found)
		}
		check(t, env.Client.HSet(t.Context(), "medis:{0}:delayed:body", "7-1", fmt.Sprintf("5:topic3:a.b4:body%d:%s", len(body), body)).Err())
		delayed := must[medispatcher.Place](t)(medispatcher.ParseRef("delayed/0-7-1"))
		found = must[medispatcher.Found](t)(store.ReadAt(t.Context(), delayed))
		if string(found.Message.Body) != body || found.Message.ID != "0-7-1" || found.Message.Time.UnixMilli() != 7 {
			t.Errorf("delayed: %+v", found)
		}
		delayed.Entry = "8-1"
		if _, err := store.ReadAt(t.Context(), delayed); !errors.Is(err, medispatcher.ErrNotFound) {
			t.Errorf("delayed, gone: %v", err)
		}
		delayed.Partition = 9
		if _, err := store.ReadAt(t.Context(), delayed); !errors.Is(err, medispatcher.ErrNotFound) {
			t.Errorf("another partition: %v", err)
		}

		// The story of a message names its places. What was read has the number of its attempt.
		sc := streamstest.NewScene(t, env)
		entry := sc.Buried(t)
		read := must[medispatcher.Found](t)(store.ReadAt(t.Context(), medispatcher.Place{State: medispatcher.Ready, Subscription: "s", Entry: entry}))
		if read.Place.State != medispatcher.Buried || read.Place.Attempt != 1 || read.Delivery().Attempt != 1 {
			t.Errorf("read by a worker: %+v", read.Place)
		}
		story := must[medispatcher.Story](t)(report.New(store).Story(t.Context(), read.Message.ID, []string{"s"}))
		if len(story.Places) != 1 || story.Places[0].At != "channel/s/0-"+entry {
			t.Errorf("the story: %+v", story.Places)
		}
	})
}
