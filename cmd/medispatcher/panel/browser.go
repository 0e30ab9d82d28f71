package panel

import (
	"net"
	"net/http"
	"net/netip"
	"strings"

	"github.com/solate/medispatcher/cmd/medispatcher/panel/api"
	"github.com/solate/medispatcher/cmd/medispatcher/panel/problem"
)

// refuseCrossSite keeps web pages elsewhere from changing things through the browser
// of somebody who can reach a dispatcher that asks for no token.
func refuseCrossSite(next http.Handler) http.Handler {
	p := http.NewCrossOriginProtection()
	p.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		problem.Write(w, problem.New(http.StatusForbidden, "a browser sent this from a page of another site; only pages of this dispatcher may"))
	}))
	return p.Handler(next)
}

// refuseOtherNames keeps web pages elsewhere from reading what a dispatcher without a token
// shows: a page can let its own name point to 127.0.0.1, and is then of the same site. The
// configuration lets only loopback addresses go without a token, so no other name is right.
func refuseOtherNames(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if isLocal(r.Host) || r.URL.Path == api.HealthPath || r.URL.Path == api.ReadyPath {
			next.ServeHTTP(w, r)
			return
		}
		problem.Write(w, problem.New(http.StatusMisdirectedRequest,
			"without MEDIS_ADMIN_TOKEN this dispatcher answers to localhost and loopback addresses alone; use one of them, or set a token"))
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

// policy lets a page load what this dispatcher serves, and nothing else: no script or style
// that stands in a page, whoever wrote it there, is obeyed.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; " +
	"form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// secure sets the headers that keep browsers from mischief.
func secure(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Security-Policy", policy)
		// Other sites learn nothing. no-referrer would also take the Origin off our own forms, by
		// which requests of other sites are told apart where a browser says nothing else.
		w.Header().Set("Referrer-Policy", "same-origin")
		next.ServeHTTP(w, r)
	})
}
