package auth

import (
	"net/http"
	"net/netip"
	"testing"
)

func TestClient(t *testing.T) {
	proxies := Proxies{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")}
	for _, test := range []struct {
		peer string
		want string
		h    http.Header
	}{
		{"192.0.2.7:1", "192.0.2.7", nil},
		{"192.0.2.7:1", "192.0.2.7", http.Header{"X-Forwarded-For": {"1.2.3.4"}}}, // no proxy of ours
		{"10.0.0.1:1", "10.0.0.1", nil},
		{"10.0.0.1:1", "1.2.3.4", http.Header{"X-Forwarded-For": {"1.2.3.4"}}},
		{"[::ffff:10.0.0.1]:1", "1.2.3.4", http.Header{"X-Forwarded-For": {"1.2.3.4"}}},
		{"10.0.0.1:1", "1.2.3.4", http.Header{"X-Forwarded-For": {"6.6.6.6, 1.2.3.4, 10.0.0.2"}}}, // the first is made up
		{"10.0.0.1:1", "1.2.3.4", http.Header{"X-Forwarded-For": {"6.6.6.6", "1.2.3.4:99", "10.0.0.2"}}},
		{"10.0.0.1:1", "10.0.0.3", http.Header{"X-Forwarded-For": {"10.0.0.3, 10.0.0.2"}}},
		{"10.0.0.1:1", "10.0.0.2", http.Header{"X-Forwarded-For": {"nonsense, 10.0.0.2"}}},
		{"10.0.0.1:1", "10.0.0.1", http.Header{"X-Forwarded-For": {""}}},
		{"10.0.0.1:1", "2001:db8::7", http.Header{"Forwarded": {`for=6.6.6.6, proto=https;For="[2001:db8::7]:4711";by=x`}}},
		{"10.0.0.1:1", "10.0.0.1", http.Header{"Forwarded": {"for=1.2.3.4, for=_hidden"}}},
		{"10.0.0.1:1", "10.0.0.1", http.Header{"Forwarded": {"for=6.6.6.6"}, "X-Forwarded-For": {"1.2.3.4"}}},
	} {
		if got := proxies.Client(&http.Request{RemoteAddr: test.peer, Header: test.h}); got != test.want {
			t.Errorf("%s %v: %s, want %s", test.peer, test.h, got, test.want)
		}
	}
}

func TestGuessesOfANetwork(t *testing.T) {
	var g Guesses
	for range guessBurst + 5 {
		g.Wrong("2001:db8::1")
	}
	if g.Delay("2001:db8::2") == 0 || g.Delay("2001:db8:0:1::2") != 0 || g.Delay("10.0.0.1") != 0 {
		t.Error("the delay is not of the /64 alone")
	}
}
