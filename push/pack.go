package push

import (
	"encoding/base64"
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/solate/medispatcher"
)

// appendPacked appends a message as it stands in a batch: a JSON object in one line. headers are those that go out with it.
// Strings and names are UTF-8; of one that is not, what is wrong is replaced.
func appendPacked(dst []byte, d *medispatcher.Delivery, headers map[string]string) []byte {
	m := &d.Message
	dst = appendText(append(dst, `{"id":`...), m.WebhookID())
	dst = appendName(append(dst, `,"topic":`...), m.Topic)
	dst = strconv.AppendInt(append(dst, `,"time":`...), m.Time.UnixMilli(), 10)
	dst = strconv.AppendInt(append(dst, `,"attempt":`...), int64(d.Attempt), 10)
	if d.Replay {
		dst = append(dst, `,"replay":true`...)
	}
	dst = appendName(append(dst, `,"type":`...), m.Type)
	if m.Sender != "" {
		dst = appendName(append(dst, `,"sender":`...), m.Sender)
	}
	if m.Key != "" {
		dst = appendName(append(dst, `,"key":`...), m.Key)
	}
	if len(headers) > 0 {
		before := byte('{')
		dst = append(dst, `,"headers":`...)
		for _, name := range slices.Sorted(maps.Keys(headers)) { // so that the same batch has the same bytes
			dst = append(appendName(append(dst, before), name), ':')
			dst = appendName(dst, headers[name])
			before = ','
		}
		dst = append(dst, '}')
	}
	return append(appendData(dst, m, "body"), '}')
}

// appendData appends the body of a message under a name, or the name with _base64 behind it: as it is where its type is JSON and it is good JSON, as a string where its type is
// another one and it is plain text, and otherwise in base64. Nothing of it is lost: JSON keeps its digits, spaces and order of
// names, and only its line breaks become spaces.
func appendData(dst []byte, m *medispatcher.Message, name string) []byte {
	isJSON := medispatcher.JSONType(m.Type)
	dst = append(append(dst, `,"`...), name...)
	switch {
	case isJSON && json.Valid(m.Body) && utf8.Valid(m.Body):
		dst = append(dst, `":`...)
		at := len(dst)
		dst = append(dst, m.Body...)
		for i, c := range dst[at:] {
			if c == '\n' || c == '\r' { // never within a string
				dst[at+i] = ' '
			}
		}
		return dst
	case !isJSON && plainText(m.Body):
		return appendText(append(dst, `":`...), m.Body)
	}
	dst = base64.StdEncoding.AppendEncode(append(dst, `_base64":"`...), m.Body)
	return append(dst, '"')
}

// plainText reports whether a body is UTF-8 without control characters but tabs and line ends. As a string it is at most twice
// as long.
func plainText(b []byte) bool {
	for _, c := range b {
		if c < ' ' && c != '\t' && c != '\n' && c != '\r' {
			return false
		}
	}
	return utf8.Valid(b)
}

// appendName appends a string that its producer chose, in JSON.
func appendName(dst []byte, s string) []byte {
	if !utf8.ValidString(s) { // somebody wrote the entry by hand
		s = strings.ToValidUTF8(s, "\uFFFD")
	}
	return appendText(dst, s)
}

// appendText appends UTF-8 as a string in JSON.
func appendText[S string | []byte](dst []byte, s S) []byte {
	dst = append(dst, '"')
	from := 0
	for i := range len(s) {
		c := s[i]
		if c >= ' ' && c != '"' && c != '\\' {
			continue
		}
		dst = append(dst, s[from:i]...)
		from = i + 1
		switch c {
		case '"', '\\':
			dst = append(dst, '\\', c)
		case '\t':
			dst = append(dst, '\\', 't')
		case '\n':
			dst = append(dst, '\\', 'n')
		case '\r':
			dst = append(dst, '\\', 'r')
		default:
			dst = append(dst, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
		}
	}
	return append(append(dst, s[from:]...), '"')
}

const hexDigits = "0123456789abcdef"

// packedHead is about how many bytes a message takes in a batch beside its own values.
const packedHead = 128

// packedSize is about how many bytes a message takes in a batch.
func packedSize(m *medispatcher.Message) int {
	n := packedHead + len(m.ID) + len(m.Topic) + len(m.Type) + len(m.Sender) + len(m.Key) + len(m.Body)
	if m.Type != medispatcher.DefaultType && !medispatcher.JSONType(m.Type) {
		n += len(m.Body) / 3 // it may be base64
	}
	for name, value := range m.Headers {
		n += len(name) + len(value) + len(`"":"",`)
	}
	return n
}
