package panel

import (
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
)

// requireToken lets pass who carries the token or a session made with it. Everybody may see the health
// routes, the sign-in page and what it looks like. The right token passes however many wrong ones came from
// its address: a producer must not be shut out by another one behind the same proxy that has an old token.
func requireToken(s *sessions, log *slog.Logger, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		right, given := s.bearer(r)
		switch {
		case right || isOpen(r.URL.Path) || s.cookie(r):
			next.ServeHTTP(w, r)
		case !given && wantsPage(r):
			to := signInPath
			if r.URL.Path != "/" {
				to += "?next=" + url.QueryEscape(r.URL.RequestURI())
			}
			http.Redirect(w, r, to, http.StatusSeeOther)
		default:
			refuseToken(s, log, w, r, given)
		}
	})
}

func refuseToken(s *sessions, log *slog.Logger, w http.ResponseWriter, r *http.Request, given bool) {
	what := "a token is needed"
	if given {
		if !s.wrong.allow(r) {
			w.Header().Set("Retry-After", retryAfter)
			writeProblem(w, problem(http.StatusTooManyRequests, "too many wrong tokens came from this address; send the value of MEDIS_ADMIN_TOKEN, or wait"))
			return
		}
		what = "the token is wrong"
		log.Warn("a wrong token", "from", r.RemoteAddr, "method", r.Method, "path", r.URL.Path)
	}
	w.Header().Set("WWW-Authenticate", `Bearer realm="medispatcher"`)
	writeProblem(w, problem(http.StatusUnauthorized, what+": send the header Authorization: Bearer TOKEN, with the value of MEDIS_ADMIN_TOKEN"))
}

func isOpen(path string) bool {
	return path == healthPath || path == readyPath || path == signInPath || strings.HasPrefix(path, staticPath)
}

// wantsPage reports whether a browser asks for something to show, which gets pages where
// programs get problem documents.
func wantsPage(r *http.Request) bool {
	return (r.Method == http.MethodGet || r.Method == http.MethodHead) &&
		!strings.HasPrefix(r.URL.Path, prefix+"/") && strings.Contains(r.Header.Get("Accept"), "text/html")
}

// refuseCrossSite keeps web pages elsewhere from changing things through the browser
// of somebody who can reach a dispatcher that asks for no token.
func refuseCrossSite(next http.Handler) http.Handler {
	p := http.NewCrossOriginProtection()
	p.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		writeProblem(w, problem(http.StatusForbidden, "a browser sent this from a page of another site; only pages of this dispatcher may"))
	}))
	return p.Handler(next)
}

// refuseOtherNames keeps web pages elsewhere from reading what a dispatcher without a token
// shows: a page can let its own name point to 127.0.0.1, and is then of the same site. The
// configuration lets only loopback addresses go without a token, so no other name is right.
func refuseOtherNames(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if isLocal(r.Host) || r.URL.Path == healthPath || r.URL.Path == readyPath {
			next.ServeHTTP(w, r)
			return
		}
		writeProblem(w, problem(http.StatusMisdirectedRequest,
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
