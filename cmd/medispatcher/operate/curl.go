package operate

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/solate/medispatcher"
)

// maxInline is the longest body that stands in a command, in bytes.
const maxInline = 8 << 10

// Curl is the command that sends a request, for a POSIX shell. A body that is long, or that a terminal cannot show as it is, is
// read from a file; then inline is false.
func Curl(r *medispatcher.Request, file string) (command string, inline bool) {
	first := "curl -i"
	if strings.ContainsAny(r.URL, "[]{}") {
		first += " --globoff"
	}
	if strings.Contains(r.URL, "/.") {
		first += " --path-as-is"
	}
	lines := []string{first + " " + quoted(r.URL)}
	agent := false
	for _, h := range r.Headers {
		field := h.Name + ": " + h.Value
		if h.Value == "" {
			field = h.Name + ";"
		}
		agent = agent || h.Name == "User-Agent"
		lines = append(lines, "-H "+quoted(field))
	}
	without := "-H Accept: -H Expect:" // curl adds them by itself
	if !agent {
		without += " -H User-Agent:"
	}
	lines = append(lines, without)
	if inline = len(r.Body) <= maxInline && showable(string(r.Body)); inline {
		lines = append(lines, "--data-raw "+quoted(string(r.Body)))
	} else {
		lines = append(lines, "--data-binary "+quoted("@"+file))
	}
	return strings.Join(lines, " \\\n  "), inline
}

// BodyFile is a name for the file with the body of a message.
func BodyFile(id string) string {
	safe := strings.Map(func(r rune) rune {
		if r < utf8.RuneSelf && (unicode.IsLetter(r) || unicode.IsDigit(r) || strings.ContainsRune("._-", r)) {
			return r
		}
		return '_'
	}, id[:min(len(id), 100)])
	return "body-" + safe
}

// showable reports whether a terminal shows a text as it is.
func showable(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool { return r != '\n' && r != '\t' && !unicode.IsPrint(r) })
}

// quoted is a word of a shell. What cannot be shown is written by its codes, which takes a shell such as bash.
func quoted(s string) string {
	if showable(s) {
		return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
	}
	const digits = "0123456789abcdef"
	var b strings.Builder
	b.WriteString("$'")
	for i := range len(s) {
		switch c := s[i]; {
		case c == '\'' || c == '\\':
			b.WriteString(`\` + string(rune(c)))
		case c < ' ' || c >= 0x7f:
			b.WriteString(`\x` + string(digits[c>>4]) + string(digits[c&15]))
		default:
			b.WriteByte(c)
		}
	}
	return b.String() + "'"
}
