package http1

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"syscall"
)

// ErrDenied is returned for a connection refused by a [Guard].
var ErrDenied = errors.New("denied address")

// alwaysDenied are addresses of link-local and cloud metadata services, which
// hand out credentials. No subscriber has a reason to be there.
var alwaysDenied = []netip.Prefix{
	netip.MustParsePrefix("169.254.0.0/16"),
	netip.MustParsePrefix("fe80::/10"),
	netip.MustParsePrefix("fd00:ec2::254/128"),      // AWS
	netip.MustParsePrefix("fd20:ce::254/128"),       // GCP
	netip.MustParsePrefix("fd00:c1::a9fe:a9fe/128"), // Oracle
	netip.MustParsePrefix("100.100.100.200/32"),     // Alibaba
	netip.MustParsePrefix("192.0.0.192/32"),         // Oracle
	netip.MustParsePrefix("168.63.129.16/32"),       // Azure
}

var (
	compatible = netip.MustParsePrefix("::/96")
	translated = netip.MustParsePrefix("::ffff:0:0:0/96")
	nat64      = netip.MustParsePrefix("64:ff9b::/96")
	localNAT64 = netip.MustParsePrefix("64:ff9b:1::/48")
	sixToFour  = netip.MustParsePrefix("2002::/16")
	teredo     = netip.MustParsePrefix("2001::/32")
)

// Guard refuses connections to denied addresses. It looks at the address that
// is about to be connected to, after name resolution, so that a name cannot be
// pointed elsewhere after it was checked. The zero Guard denies link-local and
// metadata addresses only. It is safe for concurrent use.
type Guard struct {
	deny, allow []netip.Prefix
}

// NewGuard returns a Guard that denies the addresses in deny but not those in
// allow. Link-local and metadata addresses are denied whatever allow says.
func NewGuard(deny []netip.Prefix, allow ...netip.Prefix) *Guard {
	return &Guard{deny: unmapAll(deny), allow: unmapAll(allow)}
}

// Control has the form of net.Dialer.ControlContext. It returns an error that
// wraps [ErrDenied] if address (ip:port) is denied or not an IP address.
func (g *Guard) Control(_ context.Context, _, address string, _ syscall.RawConn) error {
	ap, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("%w %s: not an IP address and port", ErrDenied, address)
	}
	return g.check(ap.Addr())
}

// check returns an error if addr is denied.
func (g *Guard) check(addr netip.Addr) error {
	if g.Denied(addr) {
		return fmt.Errorf("%w %s", ErrDenied, addr.Unmap())
	}
	return nil
}

// Denied reports whether addr may not be connected to. It sees through IPv4
// addresses written as IPv6: mapped, compatible, translated, NAT64, 6to4 and Teredo.
func (g *Guard) Denied(addr netip.Addr) bool {
	if !addr.IsValid() {
		return true
	}
	addr = addr.WithZone("").Unmap() // a prefix never contains a zoned address
	if g.listed(addr) {
		return true
	}
	if inner, ok := embedded(addr); ok {
		return g.Denied(inner) // which may be 0.0.0.0
	}
	return false
}

// listed looks addr up in the lists.
func (g *Guard) listed(addr netip.Addr) bool {
	return contains(alwaysDenied, addr) || contains(g.deny, addr) && !contains(g.allow, addr)
}

// embedded returns the address that traffic to addr ends up at, if addr is but
// another way to write it.
func embedded(addr netip.Addr) (netip.Addr, bool) {
	b := addr.As16()
	switch {
	case addr == netip.IPv4Unspecified():
		return netip.AddrFrom4([4]byte{127, 0, 0, 1}), true // connects to this host
	case addr == netip.IPv6Unspecified():
		return netip.IPv6Loopback(), true
	case addr == netip.IPv6Loopback(): // no compatible address
	case compatible.Contains(addr), translated.Contains(addr), nat64.Contains(addr), localNAT64.Contains(addr): // of the latter the last 96 bits may be divided otherwise; /96 is usual
		return netip.AddrFrom4([4]byte(b[12:16])), true
	case sixToFour.Contains(addr):
		return netip.AddrFrom4([4]byte(b[2:6])), true
	case teredo.Contains(addr): // the client's address, inverted
		return netip.AddrFrom4([4]byte{^b[12], ^b[13], ^b[14], ^b[15]}), true
	}
	return netip.Addr{}, false
}

// contains reports whether one of prefixes contains addr.
func contains(prefixes []netip.Prefix, addr netip.Addr) bool {
	for _, p := range prefixes {
		if p.Contains(addr) {
			return true
		}
	}
	return false
}
