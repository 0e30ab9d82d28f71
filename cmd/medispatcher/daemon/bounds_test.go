package daemon

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/cmd/medispatcher/outlet"
	rescue "github.com/solate/medispatcher/recover"
	"github.com/solate/medispatcher/streams"
)

// TestQueuesAreBounded: what waits while Redis is away takes bounded memory, and a full queue blocks nobody.
func TestQueuesAreBounded(t *testing.T) {
	t.Run("events of messages", func(t *testing.T) {
		r := &recorder{messages: 1}
		for range maxRecorded + 3 {
			r.routed(0, &medispatcher.Message{ID: "m"}, &streams.Routed{Result: streams.RoutedCopied}, nil)
		}
		if events, missing := r.take(); len(events) != maxRecorded || missing != 3 {
			t.Errorf("%d events, %d missing", len(events), missing)
		}
	})
	t.Run("times", func(t *testing.T) {
		w := &timesWriter{}
		for i := range maxTimed + 3 {
			d := &medispatcher.Delivery{Channel: medispatcher.Channel{Subscription: fmt.Sprint(i)}}
			w.note(d, &medispatcher.Settlement{}, time.Now()) // no attempt was made
			w.note(d, &medispatcher.Settlement{Took: time.Second}, time.Now())
		}
		if taken := w.take(); len(taken) != maxTimed {
			t.Errorf("%d subscriptions", len(taken))
		}
	})
	t.Run("last copies", func(t *testing.T) {
		written := make(chan string, 2)
		log := outlet.New(outlet.Config{Bytes: 1 << 30, Lines: 10, Write: func(line []byte) (int, error) {
			written <- string(line)
			return len(line), nil
		}})
		l := newLastCopies(&dataLog{out: log}, nil, nil, nil)
		half := strings.Repeat("x", maxLastCopiesBytes/2)
		for _, id := range []string{"1", "2", "3"} {
			l.put(rescue.Line{Code: rescue.KickFail, Entry: id, Message: &rescue.Message{Body: &half}})
		}
		if line := <-written; !strings.Contains(line, `"entry":"3"`) {
			t.Errorf("%.200s has no room and is to be written with the other lines", line)
		}
		for _, id := range []string{"1", "2"} {
			if line, there := l.first(); !there || line.Entry != id {
				t.Errorf("first is %s, %t", line.Entry, there)
			}
			l.done()
		}
		if _, there := l.first(); there || l.bytes != 0 {
			t.Errorf("%d bytes are left", l.bytes)
		}
		if _, err := log.Close(time.Second); err != nil {
			t.Error(err)
		}
	})
	t.Run("delayed messages", func(*testing.T) {
		e := &fanoutEvents{wakes: []chan streams.Delay{make(chan streams.Delay, 1)}}
		for range 2 {
			e.delayed(0, time.Now())
		}
	})
}
