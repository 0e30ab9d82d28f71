package config

import (
	"strings"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/alert"
	"github.com/solate/medispatcher/cmd/internal/access"
)

// show is a value of the variable as it may be shown.
func (v variable) show(value string) string {
	switch {
	case value == "" || v.secret == "":
		return value
	case v.secret == "url":
		return MaskURL(value)
	case v.secret == "tokens":
		return maskTokens(value)
	case v.secret == "receivers":
		return maskReceivers(value)
	}
	return medispatcher.Mask
}

// maskTokens shows who has which role.
func maskTokens(list string) string {
	tokens, problems := access.Parse(list)
	if len(problems) > 0 || len(tokens) == 0 {
		return medispatcher.Mask // anything may stand anywhere
	}
	shown := make([]string, len(tokens))
	for i, t := range tokens {
		shown[i] = t.Name + ":" + string(t.Role) + ":" + medispatcher.Mask
	}
	return strings.Join(shown, ",")
}

// maskReceivers shows where alerts go, without the secrets.
func maskReceivers(list string) string {
	urls := alert.SplitURLs(list)
	for i, u := range urls {
		urls[i] = medispatcher.MaskAlertURL(u)
	}
	return strings.Join(urls, " ")
}

// MaskURL hides the passwords of a Redis URL. It works on the text, because a URL
// with several hosts, or one with a mistake in it, does not parse.
func MaskURL(raw string) string {
	scheme, rest, ok := strings.Cut(raw, "://")
	if ok {
		scheme += "://"
	} else {
		scheme, rest = "", raw
	}
	if at := strings.LastIndex(rest, "@"); at >= 0 {
		if user, _, has := strings.Cut(rest[:at], ":"); has {
			rest = user + ":" + medispatcher.Mask + rest[at:]
		}
	}
	base, query, ok := strings.Cut(rest, "?")
	if !ok {
		return scheme + rest
	}
	pairs := strings.Split(query, "&")
	for i, pair := range pairs {
		if name, _, _ := strings.Cut(pair, "="); strings.Contains(strings.ToLower(name), "password") {
			pairs[i] = name + "=" + medispatcher.Mask
		}
	}
	return scheme + base + "?" + strings.Join(pairs, "&")
}

// RedisAt names the host of a Redis URL, or its socket, for messages.
func RedisAt(raw string) string {
	scheme, rest, isURL := strings.Cut(MaskURL(raw), "://")
	rest, _, _ = strings.Cut(rest, "?")
	if at := strings.LastIndex(rest, "@"); at >= 0 {
		rest = rest[at+1:]
	}
	if scheme != "unix" {
		rest, _, _ = strings.Cut(rest, "/")
		if isURL && rest == "" || strings.HasPrefix(rest, ":") { // as go-redis reads it
			rest = "localhost" + rest
		}
	}
	return rest
}
