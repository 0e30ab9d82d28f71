package auth

import (
	"testing"
	"time"
)

func TestSessionEnds(t *testing.T) {
	s := New("a token")
	now := time.Now()
	value := s.begin(now)
	if !s.valid(value, now) || !s.valid(value, now.Add(sessionLife-time.Second)) || s.valid(value, now.Add(sessionLife)) {
		t.Error("a session does not last as long as it should")
	}
	if value == s.begin(now) {
		t.Error("two sessions are the same")
	}
	for _, bad := range []string{"", "x", value[:len(value)-1], value + "A", "!" + value[1:]} {
		if s.valid(bad, now) {
			t.Errorf("%q is valid", bad)
		}
	}
}
