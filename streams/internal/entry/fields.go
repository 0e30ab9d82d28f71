package entry

import (
	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/streams/internal/rdb"
)

// Fields are the values of an entry, wherever it stands: what its producer wrote, and what
// medispatcher added. Each is "" where the entry has none. Set them all, then call Message.
type Fields struct {
	medispatcher.EntryValues
	Src      string // id of the first incoming entry
	Released string // see the field of this name
	Failure  string // record of a dead letter

	whole string
}

// Set takes the value of a field. If a field is repeated, its last value counts.
func (v *Fields) Set(name, value string) {
	switch name {
	case Whole:
		v.whole = value
	case "~src":
		v.Src = value
	case Released:
		v.Released = value
	case "failure":
		v.Failure = value
	default:
		v.EntryValues.Set(name, value)
	}
}

// Message is the message of a copy in partition p, in either layout, as far as it can be read. It
// shares the memory of the values. A topic in a field of its own says that the copy is of the first
// layout: then Whole is a field that a producer made up.
func (v *Fields) Message(p int) medispatcher.Message {
	if v.Topic == "" && v.whole != "" {
		v.setWhole(v.whole)
	}
	m := v.Unchecked()
	if m.ID == "" {
		m.ID, m.Generated = rdb.GeneratedID(p, v.Src), true
	}
	return m
}

// Delivery is a copy, as a consumer of its channel gets it.
func Delivery(c medispatcher.Channel, entryID string, attempt int, fields rdb.Fields) (d medispatcher.Delivery) {
	d = medispatcher.Delivery{Channel: c, EntryID: entryID, Attempt: attempt}
	defer func() {
		if v := recover(); v != nil { // only its attempts fail; otherwise it would stop one dispatcher after another
			d.Broken = medispatcher.Recovered(v)
		}
	}()
	var v Fields
	for i := 0; i+1 < len(fields); i += 2 {
		name, _ := fields[i].(string)
		value, _ := fields[i+1].(string)
		v.Set(name, value)
	}
	d.Message = v.Message(c.Partition)
	return d
}
