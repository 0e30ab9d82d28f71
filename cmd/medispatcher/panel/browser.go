package panel

import (
	"net"
	"net/http"
	"net/netip"
	"strings"

	"github.com/solate/medispatcher/cmd/medispatcher/panel/api"
	"github.com/solate/medispatcher/cmd/medispatcher/panel/problem"
)

// refuseCrossSite keeps pages of other sites from changing things through the browser of
// somebody who can reach a dispatcher without a token.
func refuseCrossSite(next http.Handler) http.Handler {
	p := http.NewCrossOriginProtection()
	p.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		problem.Write(w, problem.New(http.StatusForbidden, "a browser sent this from a page of another site; only pages of this dispatcher may send it"))
	}))
	return p.Handler(next)
}

// refuseOtherNames keeps pages of other sites from reading from a dispatcher without a token (DNS
// rebinding): such a page points its own name at 127.0.0.1, and is then of the same site. Without a
// token the configuration allows only loopback addresses, so no other name is legitimate.
func refuseOtherNames(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if isLocal(r.Host) || r.URL.Path == api.HealthPath || r.URL.Path == api.ReadyPath {
			next.ServeHTTP(w, r)
			return
		}
		problem.Write(w, problem.New(http.StatusMisdirectedRequest,
			"without MEDIS_ADMIN_TOKEN this dispatcher answers only to localhost and loopback addresses; use one of them, or set a token"))
	})
}

func isLocal(hostport string) bool {
	host, _, err := net.SplitHostPort(hostport)
	if err != nil {
		host = strings.Trim(hostport, "[]")
	}
	if ip, err := netip.ParseAddr(host); err == nil {
		return ip.Unmap().IsLoopback()
	}
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	return host == "localhost" || strings.HasSuffix(host, ".localhost") || host == ""
}

// policy lets a page load only what this dispatcher serves. Scripts and styles inside a page are
// ignored, whoever wrote them there.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; " +
	"form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// secure sets the headers that limit what a browser does with a page.
func secure(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Security-Policy", policy)
		// Other sites learn nothing. no-referrer would also remove the Origin from our own forms, and
		// for some browsers the Origin is all that tells our forms from those of other sites.
		w.Header().Set("Referrer-Policy", "same-origin")
		next.ServeHTTP(w, r)
	})
}
