package panel

import (
	"log/slog"
	"net/http"
	"net/url"
	"strings"

	"github.com/solate/medispatcher/cmd/medispatcher/panel/api"
	"github.com/solate/medispatcher/cmd/medispatcher/panel/auth"
	"github.com/solate/medispatcher/cmd/medispatcher/panel/problem"
	"github.com/solate/medispatcher/cmd/medispatcher/panel/web"
)

// requireToken passes requests with the token or with a session made from it. The health routes, the sign-in
// page and the static files are open to everybody. The right token always passes, however many wrong ones came
// from its address: a producer with an old token must not shut out another one behind the same proxy.
func requireToken(token *auth.Token, log *slog.Logger, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		right, given := token.Bearer(r)
		switch {
		case right || isOpen(r.URL.Path) || token.Session(r):
			next.ServeHTTP(w, r)
		case !given && wantsPage(r):
			to := web.SignInPath
			if r.URL.Path != "/" {
				to += "?next=" + url.QueryEscape(r.URL.RequestURI())
			}
			http.Redirect(w, r, to, http.StatusSeeOther)
		default:
			refuseToken(token, log, w, r, given)
		}
	})
}

func refuseToken(token *auth.Token, log *slog.Logger, w http.ResponseWriter, r *http.Request, given bool) {
	what := "a token is needed"
	if given {
		if !token.Wrong.Allow(r) {
			w.Header().Set("Retry-After", problem.RetryAfter)
			problem.Write(w, problem.New(http.StatusTooManyRequests, "too many wrong tokens came from this address; send the value of MEDIS_ADMIN_TOKEN, or wait"))
			return
		}
		what = "the token is wrong"
		log.Warn("a wrong token", "from", r.RemoteAddr, "method", r.Method, "path", r.URL.Path)
	}
	w.Header().Set("WWW-Authenticate", `Bearer realm="medispatcher"`)
	problem.Write(w, problem.New(http.StatusUnauthorized, what+": send the header Authorization: Bearer TOKEN, with the value of MEDIS_ADMIN_TOKEN"))
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
