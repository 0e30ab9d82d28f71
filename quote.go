package medispatcher

import (
	"bytes"
	"errors"
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

// quoting is an error that quotes a value, and bare says the same without.
type quoting struct{ full, bare string }

func (e quoting) Error() string { return e.full }

// Unquoted is an error without the value that it quotes. What is kept and shown beside a message is written like this: whoever
// mixes up the fields of a message puts its body where a name belongs.
func Unquoted(err error) error {
	if q, is := errors.AsType[quoting](err); is {
		return errors.New(q.bare)
	}
	return err
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
