package entry

import (
	"fmt"
	"maps"
	"reflect"
	"testing"
	"time"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/streams/internal/rdb"
)

// TestRoundTrip: a message that was encoded and decoded is the same, before and after the fan-out.
func TestRoundTrip(t *testing.T) {
	t.Parallel()
	at := time.UnixMilli(1_700_000_000_000)
	for name, m := range map[string]medispatcher.Message{
		"the least": {ID: "0-1-1", Generated: true, Topic: "a.b", Body: []byte{}, Type: medispatcher.DefaultType, Time: at},
		"all of it": {
			ID: "p-1", Topic: "a.b", Body: []byte("x\xff\x00"), Sender: "shop", Key: "k", Type: "text/plain",
			Headers: map[string]string{"a": "b"}, Time: at,
		},
	} {
		var pairs []string
		for _, v := range ChannelValues(0, m) {
			if b, ok := v.([]byte); ok {
				v = string(b)
			}
			pairs = append(pairs, fmt.Sprint(v))
		}
		fields := rdb.FieldsOf(pairs...)
		if got := Delivery(medispatcher.Channel{}, "2-1", 1, fields).Message; !reflect.DeepEqual(got, m) {
			t.Errorf("%s, after the fan-out:\n got  %+v\n want %+v", name, got, m)
		}
		got, err := medispatcher.DecodeEntry(maps.Collect(fields.All()), at)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if m.Generated {
			got.ID, got.Generated = m.ID, true // only the stream knows the id
		}
		if !reflect.DeepEqual(got, m) {
			t.Errorf("%s, before the fan-out:\n got  %+v\n want %+v", name, got, m)
		}
	}
}
