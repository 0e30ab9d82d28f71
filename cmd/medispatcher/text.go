package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode"
	"unicode/utf16"

	"github.com/solate/medispatcher/cmd/medispatcher/show"
)

// clean makes hostile text safe for a terminal.
func clean(s string) string { return show.Clean(s) }

// tell prints what was done: v as one JSON object for programs, else a line for people.
func (e *environment) tell(v any, format string, args ...any) error {
	if e.json {
		return writeJSON(e.stdout, v, "")
	}
	_, err := fmt.Fprintf(e.stdout, format+"\n", args...)
	return err
}

// writeJSON writes v for people and for jq: < and > as they are, for topics are full
// of them, but nothing that a terminal would obey.
func writeJSON(w io.Writer, v any, indent string) error {
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

// age is a duration as a person would say it.
func age(d time.Duration) string { return show.Age(d) }

// counted is "1 message", "2 messages".
func counted(n int64, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
