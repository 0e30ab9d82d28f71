package recover

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/solate/medispatcher"
)

func planner() *Planner {
	return &Planner{
		Partitions: 2, MaxBody: 100, Now: func() time.Time { return time.Unix(1_000_000, 0) },
		Exists: func(sub string) bool { return sub == "s" },
		Wanted: func(topic string) bool { return topic == "a.b" },
	}
}

func TestPlan(t *testing.T) {
	t.Parallel()
	const at = `"time":"1970-01-12T13:45:00Z"` // 100 s before now
	const generated = `"message":{"topic":"a.b","body":"x","id":"1-5-0","generated":true}`
	for _, tc := range []struct{ line, want string }{
		{`{"code":"SENT",` + at + `}`, "nothing: it was delivered"},
		{`{"code":"RESENT",` + at + `}`, "nothing: it was delivered"},
		{`{"code":"DELFAIL",` + at + `}`, "nothing: it was delivered; if Redis still has it"},
		{`{"code":"DECODERR",` + at + `,"raw":{"topic":"a.b","body":"x"}}`, "incoming a.b x"},
		{`{"code":"DECODERR",` + at + `,"partition":1,"raw":{"topic":"a.b","body":"x","delay":"130s"},"entry":"999880000-0"}`, "incoming a.b x id 1-999880000-0 delay 10s kept quarantine"},
		{`{"code":"DECODERR",` + at + `,"raw":{"topic":"a.b","body":"x","delay":"10s"}}`, "incoming a.b x"},
		{`{"code":"DECODERR",` + at + `,"raw":{"topic":"a..b","body":"x"}}`, "problem: still cannot be decoded: topic: "},
		{`{"code":"DECODERR",` + at + `,"raw":{"topic":"a.b","body":"` + strings.Repeat("x", 101) + `"}}`, "problem: body: is 101 bytes long; the limit is 100"},
		{`{"code":"DECODERR",` + at + `,"raw_base64":{"?":"x"}}`, "problem: raw_base64"},
		{`{"code":"RECOVFAILDECODE",` + at + `,"raw":{"raw":"nope"}}`, "problem: still cannot be decoded: is not JSON"},
		{`{"code":"RECOVFAILASSERT",` + at + `,"raw":{"raw":"{\"topic\":\"a.b\",\"body\":\"x\",\"delay\":\"130s\"}"}}`, "incoming a.b x delay 30s"},
		{`{"code":"RECOVFAILBACK",` + at + `,"token":"t.1","message":{"topic":"no.body","body":"x","id":"p"}}`, "incoming no.body x id p"},
		{`{"code":"RECOVFAILBACK",` + at + `}`, "problem: has no message"},
		{`{"code":"RECOVFAILBACK",` + at + `,"message":{"topic":"a..b","body":"x","key":"a\nb"}}`, "problem: topic: "},
		{`{"code":"UNROUTABLE",` + at + `,` + generated + `}`, "incoming a.b x"},
		{`{"code":"UNROUTABLE",` + at + `,"partition":1,"entry":"5-0",` + generated + `}`, "incoming a.b x id 1-5-0 kept unrouted"},
		{`{"code":"UNROUTABLE",` + at + `,"partition":2,"entry":"5-0",` + generated + `}`, "incoming a.b x"},
		{`{"code":"UNROUTABLE",` + at + `,"message":{"topic":"a.b","body":"x","id":"p"}}`, "incoming a.b x id p"},
		{`{"code":"UNROUTABLE",` + at + `,"message":{"topic":"c","body":"x","id":"p"}}`, "problem: still no subscription wants the topic c"},
		{`{"code":"REDISTFAIL",` + at + `,"subscription":"s","partition":1,` + generated + `}`, "channel s of 1 a.b x id 1-5-0"},
		{`{"code":"REDISTFAIL",` + at + `,"subscription":"s","partition":1,"entry":"5-0",` + generated + `}`, "channel s of 1 a.b x id 1-5-0 kept quarantine"},
		{`{"code":"DROPPED",` + at + `,"subscription":"s","partition":1,` + generated + `}`, "channel s of 1 a.b x id 1-5-0"},
		{`{"code":"DROPPED",` + at + `,"subscription":"gone",` + generated + `}`, "problem: the subscription gone is gone"},
		{`{"code":"DROPPED",` + at + `,"subscription":"!",` + generated + `}`, `problem: "!" is not the id`},
		{`{"code":"DROPPED",` + at + `,"subscription":"s","message":{"topic":"a","body":"x"}}`, "problem: its message has no id"},
		{`{"code":"DROPPED",` + at + `,"subscription":"s","partition":2,` + generated + `}`, "problem: partition 2 is not one of the 2"},
		{`{"code":"KICKFAIL",` + at + `,"subscription":"s","entry":"7-1",` + generated + `}`, "channel s of 0 a.b x id 1-5-0 unless 7-1"},
		{`{"code":"KICKFAIL",` + at + `,"subscription":"s","entry":"7",` + generated + `}`, `problem: "7" is not the id of an entry`},
	} {
		var l Line
		if err := json.Unmarshal([]byte(tc.line), &l); err != nil {
			t.Fatal(err)
		}
		p := planner().Plan(&l)
		got := "nothing: " + p.Nothing
		switch {
		case p.Problem != "":
			got = "problem: " + p.Problem
		case p.Once != nil:
			got = inWordsOf(p)
			if p.Once.Token != l.OnceToken() {
				t.Errorf("%s: token %q", tc.line, p.Once.Token)
			}
			if m := p.Once.Message; p.Once.Subscription == "" && p.Once.KeptIn == "" && m.ID+m.Key != "" && p.Partition != medispatcher.Partition(m.Key, m.ID, 2) {
				t.Errorf("%s: partition %d", tc.line, p.Partition)
			}
		}
		if got != tc.want && (p.Once != nil || !strings.HasPrefix(got, tc.want)) {
			t.Errorf("%s\n got  %s\n want %s", tc.line, got, tc.want)
		}
	}
}

func inWordsOf(p Plan) string {
	o := p.Once
	out := "incoming "
	if o.Subscription != "" {
		out = fmt.Sprintf("channel %s of %d ", o.Subscription, p.Partition)
	}
	out += o.Message.Topic + " " + string(o.Message.Body)
	if o.Message.ID != "" {
		out += " id " + o.Message.ID
	}
	if o.Message.Delay > 0 {
		out += fmt.Sprint(" delay ", o.Message.Delay)
	}
	if o.Unless != "" {
		out += " unless " + o.Unless
	}
	if o.KeptIn != "" {
		out += " kept " + string(o.KeptIn)
	}
	return out
}

// TestPlanIsStable: every try puts a message without key and id into the same partition.
func TestPlanIsStable(t *testing.T) {
	t.Parallel()
	seen := map[int]bool{}
	for i := range 50 {
		l := Line{Code: RecoverFailBack, Token: fmt.Sprintf("t.%d", i), Message: MessageOf(&medispatcher.Message{Topic: "a"})}
		first := planner().Plan(&l)
		if again := planner().Plan(&l); first.Partition != again.Partition {
			t.Fatal("another partition")
		}
		seen[first.Partition] = true
	}
	if len(seen) != 2 {
		t.Error("all in one partition")
	}
}
