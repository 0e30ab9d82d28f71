package alert

import (
	"errors"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/solate/medispatcher"
)

// maxReason bounds what is kept of an error of a receiver, in bytes.
const maxReason = 300

// anyURL finds URLs in a text: those that a service makes of its configuration hold its secrets.
var anyURL = regexp.MustCompile(`([A-Za-z][A-Za-z0-9+.-]*)://[^\s"'<>]*`)

// harmless are values of parameters that are words, too.
var harmless = []string{"", "yes", "no", "true", "false", "json", "post", "get", "put", "auto", "none", "plain", "html", "markdown", "login", "status", "error", "token", "webhook", "channel"}

// safe is an error about a receiver that may be shown, nil for none. What the library says quotes
// URLs, tokens and what a server answered, so every part of the receiver's URL is taken out of it.
func safe(err error, rawURL string) error {
	if err == nil {
		return nil
	}
	text := anyURL.ReplaceAllStringFunc(err.Error(), func(found string) string {
		u, err := url.Parse(found)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" {
			return medispatcher.Mask
		}
		return u.Scheme + "://" + u.Host + "/" + medispatcher.Mask
	})
	for _, secret := range secrets(rawURL) {
		text = strings.ReplaceAll(text, secret, medispatcher.Mask)
	}
	text = strings.TrimSpace(plain(text))
	if text == "" {
		text = "it failed"
	}
	return errors.New(cut(text, maxReason))
}

// secrets are the parts of a URL that must not be shown, the longest first, in every way in which they
// may be written.
func secrets(rawURL string) []string {
	var list []string
	add := func(least int, parts ...string) {
		for _, part := range parts {
			for _, form := range []string{part, url.PathEscape(part), url.QueryEscape(part)} {
				if len(form) >= least && !slices.Contains(harmless, strings.ToLower(form)) {
					list = append(list, form)
				}
			}
		}
	}
	add(1, rawURL)
	u, err := url.Parse(rawURL)
	if err != nil {
		return list
	}
	if u.User != nil {
		password, _ := u.User.Password()
		add(3, u.User.String(), u.User.Username(), password, u.User.Username()+":"+password)
	}
	if !hostIsHost(u.Scheme) {
		add(4, u.Host, u.Hostname())
	}
	add(4, strings.Trim(u.Path, "/"), strings.Trim(u.EscapedPath(), "/"), u.RawQuery, u.Fragment)
	add(4, strings.Split(u.Path, "/")...)
	for _, values := range u.Query() {
		add(4, values...)
	}
	slices.SortFunc(list, func(a, b string) int { return len(b) - len(a) })
	return list
}

// hostIsHost: elsewhere a token stands there.
func hostIsHost(scheme string) bool {
	scheme, _, _ = strings.Cut(scheme, "+")
	return slices.Contains([]string{"smtp", "generic", "gotify", "matrix", "mattermost", "ntfy", "rocketchat", "signal", "zulip", "bark", "lark"}, scheme)
}
