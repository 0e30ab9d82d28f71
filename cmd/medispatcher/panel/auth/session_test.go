package auth

import (
	"testing"
	"time"

	"github.com/solate/medispatcher/cmd/internal/access"
)

func TestSessionEnds(t *testing.T) {
	tokens := New([]access.Token{{Name: "b", Role: access.Reader, Secret: "b token"}, {Name: "a", Role: access.Admin, Secret: "a token"}})
	s := tokens.holder("a token")
	now := time.Now()
	value := s.begin(now)
	if tokens.valid(value, now) != s || tokens.valid(value, now.Add(sessionLife-time.Second)) != s || tokens.valid(value, now.Add(sessionLife)) != nil {
		t.Error("a session does not last as long as it should")
	}
	if value == s.begin(now) {
		t.Error("two sessions are the same")
	}
	for _, bad := range []string{"", "x", value[:len(value)-1], value + "A", "!" + value[1:]} {
		if tokens.valid(bad, now) != nil {
			t.Errorf("%q is valid", bad)
		}
	}
}
