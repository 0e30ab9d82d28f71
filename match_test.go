package medispatcher_test

import (
	"strings"
	"testing"

	"github.com/solate/medispatcher"
)

func TestMatch(t *testing.T) {
	for _, text := range []string{"", "  ", strings.Repeat("x", 257)} {
		if _, err := medispatcher.ParseMatch(text); err == nil {
			t.Errorf("%q is a match", text)
		}
	}
	l := medispatcher.DeadLetter{
		ID: "0-1-0", Failure: &medispatcher.Failure{LastError: "status 500: Overload", Target: "http://w/hook"},
		Message: medispatcher.Message{ID: "order-42", Topic: "order.created", Key: "KEY", Sender: "Shop", Body: []byte(`{"customer":"ZÜRICH"}`)},
	}
	k := medispatcher.Kept{ID: "0-2-0", Message: l.Message, Reason: "DECODERR topic", Source: "medis:recover:Shop2"}
	for text, want := range map[string][2]bool{
		"ORDER-42": {true, true}, "order.c": {true, true}, "key": {true, true}, " shop ": {true, true}, "0-1-0": {true, false}, "0-2-0": {false, true},
		"overload": {true, false}, "/hook": {true, false}, "zürich": {true, false}, "decoderr": {false, true}, "shop2": {false, true}, "nothing": {false, false},
	} {
		m, err := medispatcher.ParseMatch(text)
		if err != nil {
			t.Fatal(err)
		}
		if got := [2]bool{m.Letter(&l), m.Kept(&k)}; got != want {
			t.Errorf("%q: letter and kept %v, want %v", text, got, want)
		}
	}
	if m, _ := medispatcher.ParseMatch("customer"); !m.Letter(&l) || m.WithoutBodies().Letter(&l) {
		t.Error("WithoutBodies looks at bodies, or the other does not")
	}
	var all medispatcher.Match
	if !all.All() || !all.Letter(&l) || !all.Kept(&k) {
		t.Error("the zero value does not match all")
	}
}
