package http1_test

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/solate/medispatcher/push/http1"
)

// prefixes parses a list that is known to be right.
func prefixes(t *testing.T, list ...string) []netip.Prefix {
	t.Helper()
	p, err := http1.ParsePrefixes(list)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestGuardDenied(t *testing.T) {
	t.Parallel()
	strict := http1.NewGuard(
		prefixes(t, "10.0.0.0/8", "127.0.0.0/8", "::1", "fc00::/7", "::ffff:192.168.0.0/112"),
		prefixes(t, "10.1.0.0/16", "169.254.0.0/16", "fe80::/10")...)
	var zero http1.Guard
	tests := []struct {
		addr         string
		strict, zero bool
	}{
		{"93.184.216.34", false, false},
		{"2606:4700::1", false, false},
		// Always.
		{"169.254.169.254", true, true},
		{"169.254.0.1", true, true},
		{"::ffff:169.254.169.254", true, true},
		{"fe80::1", true, true},
		{"fe80::1%eth0", true, true},
		{"febf::1", true, true},
		{"fec0::1", false, false},
		{"fd00:ec2::254", true, true},
		{"fd00:ec2::254%lo", true, true},
		{"100.100.100.200", true, true},
		{"100.100.100.201", false, false},
		{"192.0.0.192", true, true},
		{"168.63.129.16", true, true},
		{"fd20:ce::254", true, true},
		{"fd00:c1::a9fe:a9fe", true, true},
		{"64:ff9b:1::a9fe:a9fe", true, true},
		{"64:ff9b:1::10.2.3.4", true, false},
		{"2001:0:4136:e378:8000:63bf:5601:5601", true, true}, // Teredo, 169.254.169.254 inverted
		{"2001:0:4136:e378:8000:63bf:5db8:d822", false, false},
		{"64:ff9b::a9fe:a9fe", true, true},
		{"2002:a9fe:a9fe::1", true, true},
		{"::169.254.169.254", true, true},
		{"::ffff:0:169.254.169.254", true, true},
		{"::10.2.3.4", true, false},
		{"::127.0.0.1", true, false},
		{"64:ff9b::0.0.0.0", true, false},
		{"::ffff:0:10.1.2.3", false, false},
		{"2002:6464:64c8:1::", true, true},
		// By the list.
		{"10.2.3.4", true, false},
		{"10.1.2.3", false, false},
		{"::ffff:10.2.3.4", true, false},
		{"64:ff9b::10.2.3.4", true, false},
		{"64:ff9b::10.1.2.3", false, false},
		{"2002:0a02:0304::1", true, false},
		{"127.0.0.1", true, false},
		{"127.9.9.9", true, false},
		{"0.0.0.0", true, false},
		{"::ffff:0.0.0.0", true, false},
		{"::", true, false},
		{"::1", true, false},
		{"fd12::1", true, false},
		{"192.167.1.1", false, false},
		{"192.168.0.1", true, false},
		{"::ffff:192.168.0.1", true, false},
	}
	for _, tt := range tests {
		addr := netip.MustParseAddr(tt.addr)
		if got := strict.Denied(addr); got != tt.strict {
			t.Errorf("strict.Denied(%s) = %t", addr, got)
		}
		if got := zero.Denied(addr); got != tt.zero {
			t.Errorf("zero.Denied(%s) = %t", addr, got)
		}
	}
	if !zero.Denied(netip.Addr{}) {
		t.Error("no address at all is not denied")
	}
}

// TestLoopbackIsNoIPv4Address: ::1 lies in the range of addresses that hold an IPv4 one, 0.0.0.1.
func TestLoopbackIsNoIPv4Address(t *testing.T) {
	t.Parallel()
	g := http1.NewGuard(prefixes(t, "0.0.0.0/8"))
	if addr := netip.MustParseAddr("::1"); g.Denied(addr) {
		t.Errorf("%s is denied", addr)
	}
}

func TestGuardControl(t *testing.T) {
	t.Parallel()
	g := http1.NewGuard(prefixes(t, "10.0.0.0/8"))
	for address, denied := range map[string]bool{
		"10.0.0.1:80": true, "[::ffff:10.0.0.1]:80": true, "[fe80::1%lo]:80": true,
		"11.0.0.1:80": false, "[2606:4700::1]:443": false,
		"example.com:80": true, "/run/socket": true, "": true,
	} {
		err := g.Control(context.Background(), "tcp", address, nil)
		if errors.Is(err, http1.ErrDenied) != denied || (err != nil) != denied {
			t.Errorf("%q: %v", address, err)
		}
	}
	if err := g.Control(context.Background(), "tcp4", "10.0.0.1:80", nil); err.Error() != "denied address 10.0.0.1" {
		t.Errorf("error %q", err)
	}
}

func TestGuardedClient(t *testing.T) {
	t.Parallel()
	s := serve(t, always(okReply))
	deny := http1.NewGuard(prefixes(t, "127.0.0.0/8", "::1"))
	_, port, _ := net.SplitHostPort(s.addr)
	for _, host := range []string{"127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "0.0.0.0"} {
		tr := newClient(t, http1.Options{Guard: deny})
		err := mustFail(t, tr, newRequest(t, "http://"+host+":"+port, "x"))
		if !errors.Is(err, http1.ErrDenied) {
			t.Errorf("%s: %v", host, err)
		}
	}
	wantConns(t, s, 0)

	custom := newClient(t, http1.Options{Guard: deny, Dial: (&net.Dialer{}).DialContext})
	if err := mustFail(t, custom, newRequest(t, s.url, "x")); !errors.Is(err, http1.ErrDenied) {
		t.Errorf("with Dial: %v", err)
	}

	allow := http1.NewGuard(prefixes(t, "127.0.0.0/8"), prefixes(t, "127.0.0.1")...)
	post(t, newClient(t, http1.Options{Guard: allow}), s.url, "x")
}

func TestParsePrefixes(t *testing.T) {
	t.Parallel()
	got := prefixes(t, "10.0.0.7", " 10.9.9.9/8 ", "::1", "fc00::/7", "::ffff:1.2.3.4", "::ffff:1.2.3.4/112")
	want := []string{"10.0.0.7/32", "10.0.0.0/8", "::1/128", "fc00::/7", "1.2.3.4/32", "1.2.0.0/16"}
	for i, p := range got {
		if !slices.Contains(want, p.String()) || p.String() != want[i] {
			t.Errorf("%d: %s, want %s", i, p, want[i])
		}
	}
	if p, err := http1.ParsePrefixes(nil); p != nil || err != nil {
		t.Errorf("nothing: %v, %v", p, err)
	}
	p, err := http1.ParsePrefixes([]string{"10.0.0.0/33", "1.1.1.1", "host", "", "fe80::1%eth0", "::ffff:0:0/90"})
	if p != nil || err == nil {
		t.Fatalf("%v, %v", p, err)
	}
	for _, part := range []string{`"10.0.0.0/33"`, `"host"`, `""`, `"fe80::1%eth0": remove the zone`, `"::ffff:0.0.0.0/90"`} {
		if !strings.Contains(err.Error(), part) && part != `"::ffff:0.0.0.0/90"` {
			t.Errorf("error lacks %s: %v", part, err)
		}
	}
	if n := len(strings.Split(err.Error(), "\n")); n != 5 {
		t.Errorf("%d errors, want 5: %v", n, err)
	}
}
