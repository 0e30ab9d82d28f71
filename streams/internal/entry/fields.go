package entry

import (
	"strconv"
	"strings"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/streams/internal/rdb"
)

// Fields are the values of an entry, wherever it stands: what its producer wrote, and what
// medispatcher added. Each is "" where the entry has none.
type Fields struct {
	medispatcher.EntryValues
	Src      string // id of the first incoming entry
	Released string // see the field of this name
	Failure  string // record of a dead letter
	Replay   string // not empty: the copy was made by a replay from the archive
	Tried    string // "<attempts> <due, unix ms> <failure record>": it was tried behind another of its key

	whole string
}

// FieldsOf are the fields of an entry before the fan-out.
func FieldsOf(fields rdb.Fields) (f Fields) {
	for name, value := range fields.All() {
		f.Set(name, value)
	}
	return f
}

// CopyOf are the fields of a copy, in either layout.
func CopyOf(fields rdb.Fields) Fields {
	f := FieldsOf(fields)
	f.Unpack()
	return f
}

// Set takes the value of a field. If a field is repeated, its last value counts.
func (f *Fields) Set(name, value string) {
	switch name {
	case Whole:
		f.whole = value
	case "~src":
		f.Src = value
	case Released:
		f.Released = value
	case replayed:
		f.Replay = value
	case tried:
		f.Tried = value
	case "failure":
		f.Failure = value
	default:
		f.EntryValues.Set(name, value)
	}
}

// Message is the message of a copy in partition p, as far as it can be read. It shares the memory of
// the fields.
func (f *Fields) Message(p int) medispatcher.Message {
	m := f.Unchecked()
	if m.ID == "" {
		m.ID, m.Generated = rdb.GeneratedID(p, f.Src), true
	}
	return m
}

// Delivery is a copy, as a consumer of its channel gets it.
func Delivery(c medispatcher.Channel, entryID string, attempt int, fields rdb.Fields) medispatcher.Delivery {
	return delivery(c, entryID, attempt, func() Fields { return CopyOf(fields) })
}

// Copied is the first delivery of a copy with this head (see AppendHead) and body. It shares their memory.
func Copied(c medispatcher.Channel, entryID, head string, body []byte) medispatcher.Delivery {
	d := delivery(c, entryID, 1, func() Fields {
		f := Fields{whole: head}
		f.Unpack()
		return f
	})
	d.Message.Body = body
	return d
}

func delivery(c medispatcher.Channel, entryID string, attempt int, fields func() Fields) (d medispatcher.Delivery) {
	d = medispatcher.Delivery{Channel: c, EntryID: entryID, Attempt: attempt}
	defer func() {
		if v := recover(); v != nil { // only its attempts fail; otherwise it would stop one dispatcher after another
			d.Broken = medispatcher.Recovered(v)
		}
	}()
	f := fields()
	d.Message, d.Replay = f.Message(c.Partition), f.Replay != ""
	if f.Tried != "" {
		d.Tried, d.Due, d.Failure = decodeTried(f.Tried)
	}
	return d
}

// Waiting are the fields of a copy that waits behind another of its key, as line_pack wrote them.
func Waiting(packed string) rdb.Fields {
	var pairs []string
	for rest := packed; rest != ""; {
		length, text, found := strings.Cut(rest, ":")
		n, err := strconv.Atoi(length)
		if !found || err != nil || n < 0 || n > len(text) {
			return rdb.FieldsOf(Whole, packed)
		}
		pairs, rest = append(pairs, text[:n]), text[n:]
	}
	return rdb.FieldsOf(pairs...)
}
