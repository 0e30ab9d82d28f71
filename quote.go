package medispatcher

import (
	"bytes"
	"strconv"
	"strings"
)

// quote shows hostile text on one line, cut short.
func quote(s string) string {
	if len(s) > 80 {
		return strconv.QuoteToASCII(s[:80]) + "…"
	}
	return strconv.QuoteToASCII(s)
}

// cut shows valid JSON on one line, cut short. Its only control characters are the white space between
// tokens.
func cut(raw []byte) string {
	shown := raw
	if len(raw) > 80 {
		shown = append(bytes.ToValidUTF8(raw[:80:80], nil), "…"...)
	}
	return strings.Map(func(r rune) rune {
		if r < ' ' {
			return ' '
		}
		return r
	}, string(shown))
}

// fieldName shows the name of an unknown field.
func fieldName(name string) string {
	if name == "" || len(name) > 80 || strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return quote(name)
	}
	return name
}
