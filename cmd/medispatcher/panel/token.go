package panel

import (
	"log/slog"
	"net/http"
	"net/url"
	"strings"

	"github.com/solate/medispatcher/cmd/internal/access"
	"github.com/solate/medispatcher/cmd/medispatcher/panel/api"
	"github.com/solate/medispatcher/cmd/medispatcher/panel/auth"
	"github.com/solate/medispatcher/cmd/medispatcher/panel/problem"
	"github.com/solate/medispatcher/cmd/medispatcher/panel/web"
)

// requireToken passes requests with a token or with a session made from one, and notes whose it is. The health routes, the
// sign-in page and the static files are open to everybody. The right token always passes, however many wrong ones came
// from its address: a producer with an old token must not shut out another one behind the same proxy.
func requireToken(tokens *auth.Tokens, proxies auth.Proxies, log *slog.Logger, next http.Handler) http.Handler {
	var strangers strangers
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		v, right, given := tokens.Bearer(r)
		if !right {
			v, right = tokens.Session(r)
		}
		if !right && !strangers.admit(w, r) {
			return
		}
		v.From = proxies.Client(r)
		switch {
		case right || isOpen(r.URL.Path):
			next.ServeHTTP(w, r.WithContext(auth.With(r.Context(), v)))
		case !given && wantsPage(r):
			to := web.SignInPath
			if r.URL.Path != "/" {
				to += "?next=" + url.QueryEscape(r.URL.RequestURI())
			}
			http.Redirect(w, r, to, http.StatusSeeOther)
		default:
			refuseToken(tokens, log, w, r, v.From, given)
		}
	})
}

// letEverybody notes that whoever can reach a dispatcher without tokens may do everything.
func letEverybody(proxies auth.Proxies, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		v := auth.Visitor{Role: access.Admin, By: auth.ByAPI, From: proxies.Client(r)}
		next.ServeHTTP(w, r.WithContext(auth.With(r.Context(), v)))
	})
}

// only passes requests of those whose role includes another one.
func only(needs access.Role, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if v := auth.From(r.Context()); !v.May(needs) {
			problem.Write(w, problem.New(http.StatusForbidden, v.Lacks(needs)))
			return
		}
		next.ServeHTTP(w, r)
	})
}

func refuseToken(tokens *auth.Tokens, log *slog.Logger, w http.ResponseWriter, r *http.Request, from string, given bool) {
	what := "a token is needed"
	if given {
		tokens.Refused.Warn(log, "a wrong token", "from", from, "method", r.Method, "path", r.URL.Path)
		if tokens.Bearers.Wrong(from) {
			w.Header().Set("Retry-After", problem.RetryAfter)
			problem.Write(w, problem.New(http.StatusTooManyRequests, "too many wrong tokens came from this address; send a right one, or wait"))
			return
		}
		what = "the token is wrong"
	}
	w.Header().Set("WWW-Authenticate", `Bearer realm="medispatcher"`)
	problem.Write(w, problem.New(http.StatusUnauthorized,
		what+": send the header Authorization: Bearer TOKEN, with a token of this dispatcher (MEDIS_TOKENS or MEDIS_ADMIN_TOKEN)"))
}

func isOpen(path string) bool {
	return path == api.HealthPath || path == api.ReadyPath || path == web.SignInPath || strings.HasPrefix(path, web.StaticPath)
}

// wantsPage reports whether a browser asks for something to show: it gets a page where a
// program gets a problem document.
func wantsPage(r *http.Request) bool {
	return (r.Method == http.MethodGet || r.Method == http.MethodHead) &&
		!strings.HasPrefix(r.URL.Path, api.Prefix+"/") && strings.Contains(r.Header.Get("Accept"), "text/html")
}
