package panel

import (
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
	"strings"
)

// requireToken lets only the health routes pass without the token.
func requireToken(token string, next http.Handler) http.Handler {
	if token == "" {
		return next
	}
	want := sha256.Sum256([]byte(token))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == healthPath || r.URL.Path == readyPath {
			next.ServeHTTP(w, r)
			return
		}
		scheme, given, _ := strings.Cut(r.Header.Get("Authorization"), " ")
		// Digests, so that the time taken tells nothing of the token, its length included.
		got := sha256.Sum256([]byte(strings.TrimSpace(given)))
		if strings.EqualFold(scheme, "Bearer") && subtle.ConstantTimeCompare(got[:], want[:]) == 1 {
			next.ServeHTTP(w, r)
			return
		}
		w.Header().Set("WWW-Authenticate", `Bearer realm="medispatcher"`)
		detail := "a token is needed: send the header Authorization: Bearer TOKEN, with the value of MEDIS_ADMIN_TOKEN"
		if r.Header.Get("Authorization") != "" {
			detail = "the token is wrong: send the header Authorization: Bearer TOKEN, with the value of MEDIS_ADMIN_TOKEN"
		}
		writeProblem(w, problem(http.StatusUnauthorized, detail))
	})
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
