package web

import (
	"bytes"
	"encoding/json"
	"fmt"
	"html/template"
	"math"
	"reflect"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/cmd/internal/cli"
)

// viewFuncs are the functions of the templates.
var viewFuncs = template.FuncMap{
	"n": func(v any) string { return number(reflect.ValueOf(v).Int()) }, "ms": millis, "text": shortText,
	"age": func(ms int64) template.HTML {
		return relative(time.Now().Add(-time.Duration(ms)*time.Millisecond), ageOf(ms))
	},
	"ago":   func(t time.Time) template.HTML { return relative(t, ago(t)) },
	"since": func(t time.Time) template.HTML { return relative(t, words(time.Since(t))) },
	"until": func(t time.Time) template.HTML { return relative(t, until(t)) }, "at": exact,
	"state": stateWord, "json": jsonText, "long": func(n int) int64 { return int64(n) },
	"message": messageLink, "placelink": placeLink, "payload": payloadLink, "alert": alertText, "words": func(dashed string) string { return strings.ReplaceAll(dashed, "-", " ") }, "plural": func(v any, one string) string { return plural(reflect.ValueOf(v).Int(), one) },
}

// number groups digits by thousands: 1,204.
func number[T int | int64](n T) string {
	s := strconv.FormatInt(int64(n), 10)
	sign := ""
	if n < 0 {
		sign, s = "-", s[1:]
	}
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return sign + s
}

// plural is "1 message", "1,204 messages".
func plural[T int | int64](n T, one string) string {
	if n == 1 {
		return "1 " + one
	}
	return number(n) + " " + one + "s"
}

// millis shows a time in ms with two or three digits: 4.2 ms, 740 ms, 9.7 s.
func millis(ms float64) string {
	short := func(v float64) string { return strconv.FormatFloat(math.Round(v*10)/10, 'f', -1, 64) }
	switch {
	case ms <= 0:
		return "–"
	case ms < 10:
		return short(ms) + " ms"
	case ms < 999.5:
		return number(int64(math.Round(ms))) + " ms"
	case ms < 9_950:
		return short(ms/1000) + " s"
	}
	return words(time.Duration(ms * float64(time.Millisecond)))
}

// words is a duration in words: 3 s, 2 min 5 s, 4 h 10 min, 3 days. Whole seconds are enough: a page
// updates every two.
func words(d time.Duration) string {
	s := int64(d.Round(time.Second) / time.Second)
	switch {
	case s < 1:
		return "under 1 s"
	case s < 60:
		return fmt.Sprintf("%d s", s)
	case s < 600:
		return fmt.Sprintf("%d min %d s", s/60, s%60)
	case s < 3600:
		return fmt.Sprintf("%d min", s/60)
	case s < 48*3600:
		return fmt.Sprintf("%d h %d min", s/3600, s%3600/60)
	}
	return fmt.Sprintf("%d days", s/86400)
}

// ageOf is an age in ms; 0 is none.
func ageOf(ms int64) string {
	if ms <= 0 {
		return "–"
	}
	return words(time.Duration(ms) * time.Millisecond)
}

func ago(t time.Time) string {
	switch d := time.Since(t); {
	case t.IsZero():
		return "never"
	case d < 2*time.Second: // clocks differ slightly
		return "just now"
	default:
		return words(d) + " ago"
	}
}

func until(t time.Time) string {
	if d := time.Until(t); d >= time.Second {
		return "in " + words(d)
	}
	return now
}

// now is said of what may begin at once.
const now = "now"

// stamp is a time in UTC. The page says once which zone its times are in, and its script may show them in another.
func stamp(t time.Time) string { return t.UTC().Format(time.DateTime) }

// relative is a time told in words, with the exact one behind it.
func relative(t time.Time, words string) template.HTML {
	if t.IsZero() || words == "–" {
		return template.HTML(template.HTMLEscapeString(words)) //nolint:gosec // escaped
	}
	return timeElement(t, "", words)
}

// exact is a time told to the second.
func exact(t time.Time) template.HTML {
	if t.IsZero() {
		return "–"
	}
	return timeElement(t, " data-exact", stamp(t))
}

func timeElement(t time.Time, mark, text string) template.HTML {
	return template.HTML(fmt.Sprintf(`<time datetime="%s" title="%s"%s>%s</time>`, //nolint:gosec // the text is escaped, the rest is ours
		t.UTC().Format(time.RFC3339), stamp(t), mark, template.HTMLEscapeString(text)))
}

// shownText is how many characters of a topic, an id or an error a line shows.
const shownText = 300

// shortText makes what others wrote short and safe to look at. Characters that do not print or that
// change the direction of text are shown by their codes.
func shortText(s string) string {
	cut := false
	if len(s) > 4*shownText { // do not clean a megabyte to show a line
		s, cut = s[:4*shownText], true
		for !utf8.ValidString(s[len(s)-1:]) && len(s) > 4*shownText-utf8.UTFMax {
			s = s[:len(s)-1]
		}
	}
	r := []rune(cli.Clean(s))
	if len(r) > shownText {
		r, cut = r[:shownText], true
	}
	if cut {
		return string(r) + "…"
	}
	return string(r)
}

// shownBody is how many bytes of a body a page shows.
const shownBody = 16 << 10

// bodyText is the text of a body, at most shownBody bytes of it. JSON is indented.
func bodyText(body []byte) (text string, cut, indented bool) {
	if len(body) <= 4*shownBody {
		if out, ok := indent(body); ok {
			body, indented = out, true
		}
	}
	if cut = len(body) > shownBody; cut {
		body = body[:shownBody]
		for i := 0; i < utf8.UTFMax && len(body) > 0 && !utf8.RuneStart(body[len(body)-1]); i++ {
			body = body[:len(body)-1]
		}
		if r, _ := utf8.DecodeLastRune(body); r == utf8.RuneError && len(body) > 0 {
			body = body[:len(body)-1]
		}
	}
	var b strings.Builder
	for i, line := range strings.Split(string(body), "\n") {
		if i > 0 {
			b.WriteByte('\n')
		}
		for j, part := range strings.Split(line, "\t") {
			if j > 0 {
				b.WriteByte('\t')
			}
			b.WriteString(cli.Clean(part))
		}
	}
	return b.String(), cut, indented
}

// indent indents a JSON object or array.
func indent(body []byte) ([]byte, bool) {
	if start := bytes.TrimSpace(body); len(start) == 0 || start[0] != '{' && start[0] != '[' {
		return nil, false
	}
	var b bytes.Buffer
	if json.Indent(&b, body, "", "  ") != nil || b.Len() > 8*shownBody { // deep nesting grows
		return nil, false
	}
	return b.Bytes(), true
}

// stateWord is the state of a subscription in words.
func stateWord(state string) string {
	switch state {
	case medispatcher.BreakerOpen:
		return "breaker open"
	default:
		return state
	}
}

func jsonText(v any) (string, error) {
	raw, err := json.Marshal(v)
	return string(raw), err
}
