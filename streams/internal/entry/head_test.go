package entry

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/streams/internal/rdb"
)

// copyOf is the second layout of a copy.
func copyOf(src string, m medispatcher.Message) []string {
	return []string{Whole, string(AppendHead(nil, src, &m)) + string(m.Body)}
}

// TestHead: what a person sees in a channel.
func TestHead(t *testing.T) {
	t.Parallel()
	m := medispatcher.Message{
		Topic: "order.created", Time: time.UnixMilli(1_700_000_000_000), Type: medispatcher.DefaultType, Sender: "shop",
		Headers: map[string]string{"b": "2\n", "a": "1"},
	}
	const want = "topic order.created\nsrc 1699999999999-0\ntime 1700000000000\nsender shop\nheaders {\"a\":\"1\",\"b\":\"2\\n\"}\n\n"
	if got := string(AppendHead(nil, "1699999999999-0", &m)); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
	m = medispatcher.Message{Topic: "a", ID: "p-1", Key: "k", Type: "text/plain"}
	if got := string(AppendHead([]byte("x"), "1-0", &m)); got != "xtopic a\nid p-1\ntime -62135596800000\nkey k\ntype text/plain\n\n" {
		t.Errorf("got\n%s", got)
	}
}

// TestLayouts: a copy is read in either layout, whatever stands beside it.
func TestLayouts(t *testing.T) {
	t.Parallel()
	m := medispatcher.Message{
		ID: "0-5-0", Generated: true, Topic: "a.b", Body: []byte("x\n\ny"), Type: medispatcher.DefaultType, Time: time.UnixMilli(7),
	}
	sameTime := m
	sameTime.Time = time.UnixMilli(5)
	if whole := copyOf("5-0", sameTime)[1]; whole != "topic a.b\nsrc 5-0\n\nx\n\ny" {
		t.Errorf("with the time of src: %q", whole)
	}
	first := []string{"time", "7", "topic", "a.b", "body", "x\n\ny", "~src", "5-0"}
	second := copyOf("5-0", m)
	for name, fields := range map[string][]string{
		"first": first, "second": second,
		"dead letter":             slices.Concat(second, []string{"failure", "{}"}),
		"kept with a reason":      slices.Concat([]string{"reason", "r", "source", "1-1"}, second),
		"first beside an odd m":   slices.Concat(first, []string{Whole, "topic evil\n\n"}),
		"line of a later version": {Whole, "color blue\n" + second[1]},
		"body is no line":         {Whole, "body evil\n" + second[1]},
		"last one counts":         slices.Concat([]string{Whole, "topic old\n\nold"}, second),
	} {
		if got := Delivery(medispatcher.Channel{}, "9-0", 1, rdb.FieldsOf(fields...)).Message; !reflect.DeepEqual(got, m) {
			t.Errorf("%s:\n got  %+v\n want %+v", name, got, m)
		}
	}
}

// FuzzHead: every message that could be published comes back from the second layout as it was.
func FuzzHead(f *testing.F) {
	f.Add("order.created", "{}", "id-1", "", "shop", "k", "text/plain", `{"a":"b"}`, int64(1_700_000_000_000))
	f.Add("a", "\n\n", "", "1-0", "", " ", "", "", int64(0))
	f.Add("a", "", "", "1700000000000-3", "", "", "", "", int64(1_700_000_000_000))
	f.Add("a", "", "1-0", "1-0", "", "", "", "", int64(1))
	f.Add("a", "", "", "01-0", "", "", "", "", int64(1))
	f.Add("a", "", "", "1\n-0", "", "", "", "", int64(1))
	f.Add("a", "topic b\n\n", "", "1-0\ntopic evil", "a b", "\t", "", `{"X-A":"\u2028<"}`, int64(1))
	f.Fuzz(func(t *testing.T, topic, body, id, src, sender, key, typ, headers string, ms int64) {
		m := medispatcher.Message{Topic: topic, ID: id, Sender: sender, Key: key, Type: typ, Body: []byte(body), Time: time.UnixMilli(ms)}
		_ = json.Unmarshal([]byte(headers), &m.Headers)
		if m.Check() != nil {
			return
		}
		got := Delivery(medispatcher.Channel{Partition: 3}, "9-0", 1, rdb.FieldsOf(copyOf(src, m)...)).Message
		src, _, _ = strings.Cut(src, "\n")
		if m.ID == "" {
			m.ID, m.Generated = "3-"+src, true
		}
		if m.Type == "" {
			m.Type = medispatcher.DefaultType
		}
		if len(m.Headers) == 0 {
			m.Headers = nil
		}
		if !reflect.DeepEqual(got, m) {
			t.Errorf("\n got  %+v\n want %+v", got, m)
		}
	})
}

// FuzzWhole: a copy that somebody damaged by hand is read as far as it goes.
func FuzzWhole(f *testing.F) {
	f.Add("topic a\n\nb", "")
	f.Add("topic a", "t")
	f.Add(" \nheaders []\ntime x\n", "")
	f.Fuzz(func(t *testing.T, whole, topic string) {
		d := Delivery(medispatcher.Channel{}, "9-0", 1, rdb.FieldsOf(Whole, whole, "topic", topic, "odd"))
		if d.Broken != nil || d.Message.ID == "" || d.Message.Type == "" || d.Message.Body == nil {
			t.Errorf("%+v", d)
		}
		if head, body, ok := strings.Cut("\n"+whole, "\n\n"); topic == "" && ok && string(d.Message.Body) != body {
			t.Errorf("body %q after the head %q", d.Message.Body, head)
		}
	})
}
