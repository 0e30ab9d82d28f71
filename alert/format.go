package alert

import (
	"fmt"
	"regexp"
	"strings"
	"unicode"
)

// bytes writes a size in bytes with one digit behind the point.
func bytes(n int64) string {
	const unit = 1024
	if n < unit {
		return fmt.Sprintf("%d B", n)
	}
	v, exp := float64(n)/unit, 0
	for v >= unit && exp < len("KMGTPE")-1 {
		v /= unit
		exp++
	}
	return fmt.Sprintf("%.1f %ciB", v, "KMGTPE"[exp])
}

// plain puts what producers and workers wrote on one line, without control characters: it may go into the
// header of a mail.
func plain(s string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "\uFFFD"))
}

// markup are the characters that some receiver reads as a mention, a link or markup, and what stands for each.
var markup = strings.NewReplacer(
	"@", "＠", "<", "‹", ">", "›", "&", "＆", "|", "¦", "`", "'", "*", "∗", "~", "∼", "[", "(", "]", ")",
	"://", "[:]//",
)

// linked is what clients make a link of: a name with a dot, such as evil.example or пример.рф, and an address, such as 10.0.0.7. Dots
// of other scripts are dots to them, too; the one that ends a Chinese sentence is only between Latin letters.
var (
	linked  = regexp.MustCompile(`([0-9A-Za-z_-]|[^\x00-\x7F])[.．｡․]([\pL\pM]{2}|\p{Lo})|([0-9A-Za-z-])。([A-Za-z])`)
	address = regexp.MustCompile(`(\p{Nd}+\.\p{Nd}+\.\p{Nd}+)\.(\p{Nd})`)
)

// defuse breaks links.
func defuse(s string) string {
	for range 2 { // a match takes the letter before the next dot
		s = linked.ReplaceAllString(s, "$1$3[.]$2$4")
	}
	return address.ReplaceAllString(s, "$1[.]$2")
}

// emphasis is an underscore that begins or ends a word.
var emphasis = regexp.MustCompile(`\b_|_\b`)

// quoted puts what a worker or a producer wrote into a text for any receiver: it mentions nobody, links to nothing and marks
// nothing up, be it in Slack, Discord, Teams, Telegram or a mail.
func quoted(s string) string {
	return emphasis.ReplaceAllString(defuse(markup.Replace(plain(s))), "‗")
}

// cut shortens text to at most so many bytes, and an ellipsis.
func cut(s string, most int) string {
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}
