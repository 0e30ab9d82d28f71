package http1

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
)

// ParsePrefixes reads addresses and prefixes, such as "10.0.0.0/8" or "::1"; a
// plain address stands for itself alone. Errors are joined, one for each entry
// that cannot be read, and nothing is returned with them.
func ParsePrefixes(list []string) ([]netip.Prefix, error) {
	var prefixes []netip.Prefix
	var errs []error
	for _, s := range list {
		p, err := parsePrefix(strings.TrimSpace(s))
		if err != nil {
			errs = append(errs, err)
			continue
		}
		prefixes = append(prefixes, p)
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	return prefixes, nil
}

// parsePrefix reads one entry.
func parsePrefix(s string) (netip.Prefix, error) {
	if strings.Contains(s, "%") {
		return netip.Prefix{}, fmt.Errorf("%q: remove the zone (%% and what follows it)", s)
	}
	p, err := netip.ParsePrefix(s)
	if err != nil {
		addr, aerr := netip.ParseAddr(s)
		if aerr != nil {
			return p, fmt.Errorf("%q: write an address such as 10.0.0.7 or ::1, or a prefix such as 10.0.0.0/8 or fc00::/7", s)
		}
		p = netip.PrefixFrom(addr, addr.BitLen())
	}
	if p.Addr().Is4In6() && p.Bits() < 96 {
		return p, fmt.Errorf("%q: write the IPv4 prefix itself, such as 10.0.0.0/8", s)
	}
	return unmap(p), nil
}

// unmap returns p masked, and as IPv4 if it is IPv4 mapped to IPv6: addresses
// are compared in that form.
func unmap(p netip.Prefix) netip.Prefix {
	if p.Addr().Is4In6() && p.Bits() >= 96 {
		p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
	}
	return p.Masked()
}

// unmapAll applies unmap to a copy of prefixes.
func unmapAll(prefixes []netip.Prefix) []netip.Prefix {
	out := make([]netip.Prefix, 0, len(prefixes))
	for _, p := range prefixes {
		out = append(out, unmap(p))
	}
	return out
}
