package alert

import (
	"errors"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/solate/medispatcher"
)

// maxReason bounds the text of a receiver's error, in bytes.
const maxReason = 300

// anyURL finds URLs in a text. Those that the library builds hold secrets.
var anyURL = regexp.MustCompile(`([A-Za-z][A-Za-z0-9+.-]*)://[^\s"'<>]*`)

// harmless are values of parameters that are no secrets, and that an error text may hold as words.
var harmless = []string{"", "yes", "no", "true", "false", "json", "post", "get", "put", "auto", "none", "plain", "html", "markdown", "login", "status", "error", "token", "webhook", "channel"}

// safe makes an error of a receiver fit to be shown; nil stays nil. The library quotes URLs, tokens and
// answers of servers, so every part of the receiver's URL is masked in the text.
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
		text = "it failed without a reason"
	}
	return errors.New(cut(text, maxReason))
}

// secrets lists the parts of a URL that must not be shown, the longest first, in each way of escaping them.
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

// hostIsHost reports whether the host of a URL names a machine. In other schemes a token stands there.
func hostIsHost(scheme string) bool {
	scheme, _, _ = strings.Cut(scheme, "+")
	return slices.Contains([]string{"smtp", "generic", "gotify", "matrix", "mattermost", "ntfy", "rocketchat", "signal", "zulip", "bark", "lark"}, scheme)
}
