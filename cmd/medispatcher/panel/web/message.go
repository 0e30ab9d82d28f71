package web

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"unicode/utf8"

	"github.com/solate/medispatcher"
)

type header struct{ Name, Value string }

// messageData is a message as its own page shows it.
type messageData struct {
	Message  medispatcher.Message
	File     string // link to the body as a file
	Headers  []header
	Body     string
	Cut      bool // Body is only the beginning
	Indented bool
	Binary   bool // it is not UTF-8
	Hidden   bool // the visitor may not see the body
}

func messageOf(r *http.Request, m medispatcher.Message, file string) messageData {
	d := messageData{Message: m, File: file, Binary: !utf8.Valid(m.Body), Hidden: !operates(r)}
	if d.Hidden {
		m.Headers = medispatcher.MaskHeaders(m.Headers)
	} else {
		d.Body, d.Cut, d.Indented = bodyText(m.Body)
	}
	if lines := headerLines(m.Headers); lines != "" {
		for line := range strings.SplitSeq(lines, "\n") {
			name, value, _ := strings.Cut(line, ": ")
			d.Headers = append(d.Headers, header{name, value})
		}
	}
	return d
}

// messageLink is the page of a message.
func messageLink(id string) string { return "/messages/" + url.PathEscape(id) }

// payloadLink is the page with the body of a message at a place, and its request.
func payloadLink(id string, at medispatcher.Place) string {
	return messageLink(id) + "/payload?" + url.Values{"at": {at.Ref()}}.Encode()
}

// writeFile answers with a file that no browser displays.
func writeFile(w http.ResponseWriter, name string, body []byte) {
	h := w.Header()
	h.Set("Content-Type", "text/plain; charset=utf-8")
	h.Set("Content-Disposition", fmt.Sprintf(`attachment; filename="%s.txt"`, name))
	h.Set("Content-Security-Policy", "sandbox; default-src 'none'")
	_, _ = w.Write(body)
}
