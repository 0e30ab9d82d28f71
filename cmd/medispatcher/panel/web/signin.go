package web

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/solate/medispatcher/cmd/internal/access"
	"github.com/solate/medispatcher/cmd/medispatcher/panel/auth"
)

const (
	// SignInPath is where a browser without a session is sent.
	SignInPath  = "/signin"
	signOutPath = "/signout"
	// maxForm bounds the sign-in form, in bytes.
	maxForm = 8 << 10
)

type signInData struct {
	Next    string
	Problem string
}

func (p *pages) signIn(w http.ResponseWriter, r *http.Request) error {
	next := localPath(r.URL.Query().Get("next"))
	if p.tokens == nil || p.signedIn(r) {
		http.Redirect(w, r, next, http.StatusSeeOther)
		return nil
	}
	return p.show(w, r, http.StatusOK, "signin", "Sign in", signInData{Next: next})
}

func (p *pages) signInWith(w http.ResponseWriter, r *http.Request) error {
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	next := localPath(r.PostFormValue("next"))
	if p.tokens == nil {
		http.Redirect(w, r, next, http.StatusSeeOther)
		return nil
	}
	if !p.tokens.SignIn.Allow(r) {
		w.Header().Set("Retry-After", "1")
		p.log.Warn("too many attempts to sign in", "from", r.RemoteAddr)
		return p.show(w, r, http.StatusTooManyRequests, "signin", "Sign in",
			signInData{next, "Too many attempts from your address. Wait a few seconds, then try again."})
	}
	v, right := p.tokens.Holder(strings.TrimSpace(r.PostFormValue("token")))
	switch {
	case !right:
		p.log.Warn("a wrong token at the sign-in", "from", r.RemoteAddr)
		return p.show(w, r, http.StatusUnauthorized, "signin", "Sign in",
			signInData{next, "That is not a token of this dispatcher. Enter one of MEDIS_TOKENS, or the value of MEDIS_ADMIN_TOKEN."})
	case !v.May(access.Reader):
		return p.show(w, r, http.StatusForbidden, "signin", "Sign in",
			signInData{next, fmt.Sprintf("That is the token %s with the role %s. It works with the API alone; the pages need the role reader.", v.Name, v.Role)})
	}
	p.tokens.Begin(w, r, v)
	http.Redirect(w, r, next, http.StatusSeeOther)
	return nil
}

func (p *pages) signOut(w http.ResponseWriter, r *http.Request) error {
	auth.End(w, r)
	http.Redirect(w, r, SignInPath, http.StatusSeeOther)
	return nil
}

// localPath is where the browser goes after the sign-in: a path of this panel, never another site.
func localPath(next string) string {
	u, err := url.Parse(next)
	if err != nil || u.Scheme != "" || u.Host != "" || u.User != nil || !strings.HasPrefix(next, "/") ||
		strings.HasPrefix(next, "//") || strings.ContainsAny(next, "\\\r\n\t") || u.Path == SignInPath || u.Path == signOutPath {
		return "/"
	}
	return next
}
