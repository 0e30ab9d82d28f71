package streams

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/streams/internal/rdb"
)

// FuzzDeadID: an accepted id of a dead letter names a partition that exists.
func FuzzDeadID(f *testing.F) {
	for _, seed := range []string{"0-1700000000000-0", "1-1-18446744073709551615", "2-1-1", "-1-1-1", "0--", "+0-1-1", "0-1-1-1", ""} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, id string) {
		p, entryID, err := rdb.SplitID(2, id)
		if err == nil && (p < 0 || p > 1 || !strings.HasSuffix(id, "-"+entryID) || strings.Trim(entryID, "-0123456789") != "") {
			t.Errorf("%q is partition %d, entry %q", id, p, entryID)
		}
		if err == nil && rdb.NextID(entryID) == entryID {
			t.Errorf("no id comes after %q", entryID)
		}
		if err != nil && strings.ContainsAny(err.Error(), "\r\n") {
			t.Errorf("%q: the error %q is not one line", id, err)
		}
	})
}

// FuzzHint: for any published text, a hint names only channels in partitions that exist.
func FuzzHint(f *testing.F) {
	for _, seed := range []string{changed, "ready d2 1 a,b", "ready me 0 a", "ready d2 -1 a", "ready d2 2 a", "ready d2 0 ", "ready d2 0 ,", "ready\n"} {
		f.Add(seed)
	}
	cfg := rdb.Config{Partitions: 2, ID: "me"}
	s := &Store{cfg: cfg, db: &rdb.DB{Config: cfg}}
	f.Fuzz(func(t *testing.T, payload string) {
		s.hint(payload, Hints{
			Changed: func() {
				if payload != changed {
					t.Errorf("%q counts as a change", payload)
				}
			},
			Ready: func(channels []medispatcher.Channel) {
				for _, c := range channels {
					if c.Partition < 0 || c.Partition > 1 || strings.Contains(c.Subscription, ",") {
						t.Errorf("%q rings for %+v", payload, c)
					}
				}
			},
		})
	})
}

// FuzzDelivery: an entry of a channel, or a failure record, that somebody damaged by hand is still
// delivered as far as it is readable.
func FuzzDelivery(f *testing.F) {
	f.Add("order.created", "{}", "", "1-0", `{"a":"b"}`, "1700000000000", `{"attempts":2}`)
	f.Add("", "\xff", "id", "", `[]`, "x", "{")
	f.Fuzz(func(t *testing.T, topic, body, id, src, headers, at, record string) {
		answer := "*4\r\n$3\r\n1-0\r\n:0\r\n" + bulk(record) + "*13\r\n"
		for _, text := range []string{"topic", topic, "body", body, "id", id, "~src", src, "headers", headers, "time", at, "odd"} {
			answer += bulk(text)
		}
		c := rdb.NewCursor(answer)
		d := dueDelivery(medispatcher.Channel{Partition: 1, Subscription: "s"}, c)
		if c.Err() != nil || d.Attempt < 1 || d.EntryID != "1-0" || string(d.Message.Body) != body || d.Message.ID == "" || d.Message.Type == "" {
			t.Errorf("delivery %+v, %v", d, c.Err())
		}
	})
}

// FuzzDue: an answer of the script that is not as it should be is an error, and not half believed.
func FuzzDue(f *testing.F) {
	const good = "*3\r\n*3\r\n:7\r\n:0\r\n*4\r\n$3\r\n1-0\r\n:2\r\n$0\r\n\r\n*2\r\n$5\r\ntopic\r\n$1\r\na\r\n*2\r\n:-1\r\n:0\r\n*0\r\n"
	f.Add(good)
	f.Add("*3\r\n*1\r\n:-1\r\n*1\r\n:-1\r\n*1\r\n*4\r\n$1\r\ns\r\n:1\r\n$3\r\n1-0\r\n$3\r\n1-0\r\n")
	f.Add("*3\r\n*0\r\n*0\r\n*0\r\n")
	f.Fuzz(func(t *testing.T, answer string) {
		c := rdb.NewCursor(answer)
		a := readDue(c, make([]medispatcher.Want, 2), time.Time{})
		if len(a.next) != 2 {
			t.Errorf("%d waits for 2 channels", len(a.next))
		}
		if answer == good && (c.Err() != nil || len(a.due) != 1 || a.due[0].Message.Topic != "a" || a.next[0] != 7*time.Millisecond) {
			t.Errorf("%+v, %v", a, c.Err())
		}
	})
}

func bulk(text string) string { return fmt.Sprintf("$%d\r\n%s\r\n", len(text), text) }
