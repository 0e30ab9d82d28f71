package entry

import (
	"encoding/json"
	"strconv"
	"strings"

	"github.com/solate/medispatcher"
)

// Whole is the field of a copy that holds the whole message: a head of lines "name value", an empty
// line, and the bytes of the body.
//
//	topic order.created
//	src 1699999999999-0
//	headers {"traceparent":"00-…"}
//
//	{"order":42}
//
// topic comes first. src is the id of the first incoming entry, if the producer gave no id. time (unix ms)
// stands there unless src begins with it. replay stands there if a replay from the archive made the copy,
// tried if it was tried behind another of its key. id, sender, key, type (if it is not DefaultType) and headers stand
// there if the message has them. Lines with other names are ignored, so that later versions can add some.
//
// Earlier versions wrote a field for each. Both are read.
const Whole = "m"

// AppendHead appends the head of a copy of m with its empty line. The body follows it. src counts
// only if m has no id of its producer.
func AppendHead(dst []byte, src string, m *medispatcher.Message) []byte {
	dst = appendLine(dst, "topic ", m.Topic)
	if m.ID == "" || m.Generated {
		dst = appendLine(dst, "src ", src)
	} else {
		src = ""
		dst = appendLine(dst, "id ", m.ID)
	}
	var digits [20]byte
	if ms := strconv.AppendInt(digits[:0], m.Time.UnixMilli(), 10); string(ms) != timeOf(src) {
		dst = append(append(append(dst, "time "...), ms...), '\n')
	}
	dst = appendLine(dst, "sender ", m.Sender)
	dst = appendLine(dst, "key ", m.Key)
	if m.Type != medispatcher.DefaultType {
		dst = appendLine(dst, "type ", m.Type)
	}
	if len(m.Headers) > 0 {
		headers, err := json.Marshal(m.Headers)
		if err != nil {
			panic(err) // a map of strings
		}
		dst = append(append(dst, "headers "...), headers...)
		dst = append(dst, '\n')
	}
	return append(dst, '\n')
}

// appendLine appends a line unless its value is empty. A value never holds a line break: only a
// field that somebody wrote by hand can, and it ends there.
func appendLine(dst []byte, name, value string) []byte {
	value, _, _ = strings.Cut(value, "\n")
	if value == "" {
		return dst
	}
	return append(append(append(dst, name...), value...), '\n')
}

// timeOf is the time in an entry id, in ms.
func timeOf(src string) string {
	ms, _, _ := strings.Cut(src, "-")
	return ms
}

// Unpack takes the lines and the body of Whole, when all fields are set. Without an empty line there
// is no body. A topic in a field of its own says that the copy is of the first layout, and Whole a
// field that a producer made up.
func (f *Fields) Unpack() {
	if f.Topic != "" || f.whole == "" {
		return
	}
	rest := f.whole
	for rest != "" {
		var line string
		if line, rest, _ = strings.Cut(rest, "\n"); line == "" {
			break
		}
		switch name, value, _ := strings.Cut(line, " "); name {
		case "src":
			f.Src = value
		case "replay":
			f.Replay = value
		case "tried":
			f.Tried = value
		case "body": // is not a line
		default:
			f.EntryValues.Set(name, value)
		}
	}
	if f.Time == "" {
		f.Time = timeOf(f.Src)
	}
	f.Body, f.HasBody = rest, true
}
