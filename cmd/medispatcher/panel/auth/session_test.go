package auth

import (
	"testing"
	"time"

	"github.com/solate/medispatcher/cmd/internal/access"
)

func TestSessionEnds(t *testing.T) {
	tokens := New([]access.Token{{Name: "b", Role: access.Reader, Secret: "b token"}, {Name: "a", Role: access.Admin, Secret: "a token"}}, nil)
	s := tokens.holder("a token")
	now := time.Now()
	value := s.begin(now, "h:1")
	for _, at := range []time.Time{now, now.Add(sessionLife - time.Second)} {
		if got := tokens.valid(value, at, "h:1"); got == nil || got.holder != s {
			t.Errorf("%v: %+v", at, got)
		}
	}
	if tokens.valid(value, now.Add(sessionLife), "h:1") != nil {
		t.Error("a session does not last as long as it should")
	}
	if tokens.valid(value, now, "h:2") != nil || tokens.valid(value, now, "") != nil {
		t.Error("it is good for another port of the host")
	}
	if value == s.begin(now, "h:1") {
		t.Error("two sessions are the same")
	}
	for _, bad := range []string{"", "x", value[:len(value)-1], value + "A", "!" + value[1:]} {
		if tokens.valid(bad, now, "h:1") != nil {
			t.Errorf("%q is valid", bad)
		}
	}
}
