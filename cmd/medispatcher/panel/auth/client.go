package auth

import (
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// Proxies are the addresses of proxies that say truly who sent a request.
type Proxies []netip.Prefix

// Client is the address that a request came from. If that is a trusted proxy, it is what the proxy says: the last address in
// X-Forwarded-For or Forwarded that is no trusted proxy itself. A request with both headers came through a proxy that passes
// one of them on unread, and nobody knows which. So it counts as the proxy's own, as does one that cannot be read.
func (p Proxies) Client(r *http.Request) string {
	peer, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		peer = r.RemoteAddr
	}
	if !p.trusts(peer) {
		return peer
	}
	plain, forwarded := r.Header.Values("X-Forwarded-For"), r.Header.Values("Forwarded")
	if len(plain) > 0 && len(forwarded) > 0 {
		return peer
	}
	hops := strings.Split(strings.Join(plain, ","), ",")
	if len(forwarded) > 0 {
		hops = forwardedFor(strings.Join(forwarded, ","))
	}
	client := peer
	for _, hop := range slices.Backward(hops) {
		ip, ok := hopAddr(hop)
		if !ok {
			return client
		}
		if client = ip; !p.trusts(ip) {
			return client
		}
	}
	return client
}

func (p Proxies) trusts(addr string) bool {
	ip, err := netip.ParseAddr(addr)
	if err != nil {
		return false
	}
	ip = ip.Unmap().WithZone("")
	return slices.ContainsFunc(p, func(prefix netip.Prefix) bool { return prefix.Contains(ip) })
}

// forwardedFor are the values of for= in a Forwarded header (RFC 7239), empty where an element has none.
func forwardedFor(header string) []string {
	var hops []string
	for element := range strings.SplitSeq(header, ",") {
		hop := ""
		for pair := range strings.SplitSeq(element, ";") {
			if name, value, _ := strings.Cut(pair, "="); strings.EqualFold(strings.TrimSpace(name), "for") {
				hop = strings.Trim(strings.TrimSpace(value), `"`)
			}
		}
		hops = append(hops, hop)
	}
	return hops
}

// hopAddr reads 10.0.0.7, 10.0.0.7:4711, 2001:db8::7 or [2001:db8::7]:4711.
func hopAddr(hop string) (string, bool) {
	hop = strings.TrimSpace(hop)
	if host, _, err := net.SplitHostPort(hop); err == nil {
		hop = host
	}
	ip, err := netip.ParseAddr(strings.Trim(hop, "[]"))
	return ip.Unmap().WithZone("").String(), err == nil
}
