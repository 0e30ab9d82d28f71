package medispatcher

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

func TestAttemptOf(t *testing.T) {
	at := time.Date(2026, 1, 1, 0, 0, 0, 1_234_567, time.UTC)
	d := &Delivery{Channel: Channel{3, "s"}, EntryID: "1-0", Attempt: 2, Message: Message{ID: "m", Topic: "a.b"}}
	s := &Settlement{
		Outcome: Failed, Status: 503, Took: 1500 * time.Microsecond, Target: "http://h/", Answer: []byte(strings.Repeat("é", 200)),
		Failure: &Failure{LastError: "status 503: \xff"},
	}
	a := AttemptOf(d, s, at)
	want := Attempt{
		Time: at.Truncate(time.Millisecond), Message: "m", Topic: "a.b", Partition: 3, Entry: "1-0", Attempt: 2, Outcome: "failed", Target: "http://h/",
		Status: 503, TookMS: 1.5, Error: "status 503: \uFFFD", Answer: strings.Repeat("é", 128) + "…",
	}
	if !reflect.DeepEqual(a, want) {
		t.Errorf("got  %+v\nwant %+v", a, want)
	}
}

func FuzzCutText(f *testing.F) {
	f.Add("é…🦄x", 5)
	f.Add("\xff\xff\xff\xff\xff\xff", 3)
	f.Fuzz(func(t *testing.T, s string, most int) {
		if most < 0 || most > 100 {
			return
		}
		got := CutText(s, most)
		if !utf8.ValidString(got) || len(got) > 3*most+len("…") || len(s) <= most && utf8.ValidString(s) && got != s {
			t.Errorf("%q", got)
		}
	})
}

// TestAttemptPages: every attempt that matches is on one page, the latest first, also when the list moves on meanwhile.
func TestAttemptPages(t *testing.T) {
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	var list []Attempt
	for i := range 10 {
		a := Attempt{Time: at.Add(-time.Duration(i/3) * time.Millisecond), Message: fmt.Sprint("m-", i), Outcome: "sent", Status: 200, Answer: "All is Well"}
		a.ID = AttemptID(a.Time, "host-1-abcd", uint64(10-i))
		if i%2 == 1 {
			a.Outcome, a.Status, a.Error = "failed", 503, "status 503"
		}
		if i == 9 {
			a.Outcome, a.Status = "dead", 0
		}
		list = append(list, a)
	}
	for i := range list[1:] {
		if !list[i].Before(&list[i+1]) || list[i+1].Before(&list[i]) {
			t.Errorf("%s does not come before %s", list[i].ID, list[i+1].ID)
		}
	}
	for want, q := range map[string]AttemptQuery{
		"0123456789": {}, "02468": {Outcome: "sent"}, "1357": {Status: "503"}, "13 57": {Status: "5xx", Limit: 2}, "9": {Status: "none"}, "": {Status: "404"},
		"5": {Text: "M-5"}, "012 345 678 9": {Text: "is well", Limit: 3},
	} {
		if q.Limit == 0 {
			q.Limit = 100
		}
		if err := q.Check(); err != nil {
			t.Errorf("%+v: %v", q, err)
		}
		var got []string
		for more := true; more; more = q.After != "" {
			var page []Attempt
			page, q.After = q.Page(list)
			got = append(got, "")
			for _, a := range page {
				got[len(got)-1] += a.Message[2:]
			}
		}
		if text := strings.Join(got, " "); text != want {
			t.Errorf("%+v: got %q, want %q", q, text, want)
		}
	}
	q := AttemptQuery{After: list[4].ID, Limit: 100}
	if page, _ := q.Page(list[6:]); len(page) != 4 { // the one that was seen last is gone
		t.Errorf("%d after one that is gone", len(page))
	}
	for _, q := range []AttemptQuery{{Outcome: "released"}, {Status: "50"}, {Status: "abc"}, {Status: "xxx"}, {Status: "5xx5"}, {Status: "099"}, {After: "x"}} {
		if q.Check() == nil {
			t.Errorf("%+v is accepted", q)
		}
	}
}
