package web

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/cmd/internal/access"
	"github.com/solate/medispatcher/cmd/medispatcher/operate"
	"github.com/solate/medispatcher/cmd/medispatcher/panel/auth"
	"github.com/solate/medispatcher/cmd/medispatcher/panel/problem"
)

const (
	// SignInPath is where a browser without a session is sent.
	SignInPath  = "/signin"
	signOutPath = "/signout"
	// MaxForm bounds the sign-in form, in bytes.
	MaxForm = 8 << 10
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
	r.Body = http.MaxBytesReader(w, r.Body, MaxForm)
	next := localPath(r.PostFormValue("next"))
	if p.tokens == nil {
		http.Redirect(w, r, next, http.StatusSeeOther)
		return nil
	}
	from := auth.From(r.Context()).From
	medispatcher.Sleep(r.Context(), p.tokens.SignIn.Delay(from))
	v, right := p.tokens.Holder(strings.TrimSpace(r.PostFormValue("token")))
	switch {
	case !right:
		p.tokens.Refused.Warn(p.log, "a wrong token at the sign-in", "from", from)
		if p.tokens.SignIn.Wrong(from) {
			w.Header().Set("Retry-After", problem.RetryAfter)
			return p.show(w, r, http.StatusTooManyRequests, "signin", "Sign in",
				signInData{next, "That is not a token of this dispatcher. Too many wrong ones came from your address, so each try takes some seconds now."})
		}
		return p.show(w, r, http.StatusUnauthorized, "signin", "Sign in",
			signInData{next, "That is not a token of this dispatcher. Enter one of MEDIS_TOKENS, or the value of MEDIS_ADMIN_TOKEN."})
	case !v.May(access.Reader):
		return p.show(w, r, http.StatusForbidden, "signin", "Sign in",
			signInData{next, fmt.Sprintf("That is the token %s with the role %s. It works with the API alone; the pages need the role reader.", v.Name, v.Role)})
	}
	p.tokens.Begin(w, r, v)
	v.From = from
	p.log.Info("signed in", "name", v.Name, "role", string(v.Role), "from", from)
	p.note(r, medispatcher.DeedSignIn, v)
	http.Redirect(w, r, next, http.StatusSeeOther)
	return nil
}

func (p *pages) signOut(w http.ResponseWriter, r *http.Request) error {
	if p.tokens == nil {
		http.Redirect(w, r, "/", http.StatusSeeOther)
		return nil
	}
	v, signedIn := p.tokens.Session(r)
	if err := p.tokens.End(w, r); err != nil {
		p.log.Warn("signed out here, but not on other dispatchers: Redis does not answer or refuses", "name", v.Name, "error", err)
		return p.show(w, r, http.StatusServiceUnavailable, "signin", "Sign in", signInData{"/",
			"You are signed out here. But Redis does not answer, so other dispatchers would still take a copy of the cookie, until it ends by itself."})
	}
	if signedIn {
		v.From = auth.From(r.Context()).From
		p.log.Info("signed out", "name", v.Name, "from", v.From)
		p.note(r, medispatcher.DeedSignOut, v)
	}
	http.Redirect(w, r, SignInPath, http.StatusSeeOther)
	return nil
}

// note adds what a visitor did to the audit trail.
func (p *pages) note(r *http.Request, what string, v auth.Visitor) {
	operate.Note(r.Context(), p.store, medispatcher.Deed{By: v.String(), From: v.From, What: what}, p.log)
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
