package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/solate/medispatcher"
)

// Clean makes hostile text safe to look at. Characters that do not print, such as escape sequences
// and changes of direction, are shown by their codes.
func Clean(s string) string {
	if utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return s
	}
	var b strings.Builder
	for len(s) > 0 {
		r, n := utf8.DecodeRuneInString(s)
		switch {
		case r == utf8.RuneError && n == 1:
			fmt.Fprintf(&b, `\x%02x`, s[0])
		case !unicode.IsPrint(r) && r < 0x80:
			fmt.Fprintf(&b, `\x%02x`, r)
		case !unicode.IsPrint(r):
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			b.WriteRune(r)
		}
		s = s[n:]
	}
	return b.String()
}

// WriteJSON writes v for people and for jq: < and > as they are, because topics are full
// of them, but nothing that a terminal would obey.
func WriteJSON(w io.Writer, v any, indent string) error {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", indent)
	if err := enc.Encode(v); err != nil {
		return err
	}
	var out strings.Builder
	for _, r := range b.String() {
		switch {
		case r == '\n' || unicode.IsPrint(r):
			out.WriteRune(r)
		case r > 0xffff:
			high, low := utf16.EncodeRune(r)
			fmt.Fprintf(&out, `\u%04x\u%04x`, high, low)
		default:
			fmt.Fprintf(&out, `\u%04x`, r)
		}
	}
	_, err := io.WriteString(w, out.String())
	return err
}

// Age is a rough duration; "-" where there is none.
func Age(d time.Duration) string {
	if d <= 0 {
		return "-"
	}
	return medispatcher.RoughDuration(d)
}

// Millis is a time in ms; "-" where there is none.
func Millis(ms float64) string {
	d := time.Duration(ms * float64(time.Millisecond))
	if 0 < d && d < 10*time.Millisecond {
		return d.Round(10 * time.Microsecond).String()
	}
	return Age(d)
}

// Shorten keeps the line of a table readable.
func Shorten(text string) string {
	const most = 60
	if r := []rune(text); len(r) > most {
		return string(r[:most]) + "…"
	}
	return text
}

// Counted is "1 message", "2 messages".
func Counted(n int64, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// Some is "1 of 2 messages" or, where there is one alone, "the message".
func Some(n, all int64, what string) string {
	if n == 1 && all == 1 {
		return "the " + what
	}
	return fmt.Sprintf("%d of %s", n, Counted(all, what))
}
