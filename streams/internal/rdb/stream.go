package rdb

import (
	"fmt"
	"iter"
)

// Entry is an entry of a stream.
type Entry struct {
	ID     string
	Fields Fields
}

// Fields are the fields of an entry as Redis answered them: names and values in turn. If a name is
// there twice, the last one counts.
type Fields struct{ at Cursor }

// FieldsOf are names and values in turn, as Redis would answer them.
func FieldsOf(pairs ...string) Fields {
	answer := fmt.Appendf(nil, "*%d\r\n", len(pairs))
	for _, text := range pairs {
		answer = fmt.Appendf(answer, "$%d\r\n%s\r\n", len(text), text)
	}
	return NewCursor(string(answer)).Fields()
}

// All are the fields in their order.
func (f Fields) All() iter.Seq2[string, string] {
	return func(yield func(name, value string) bool) {
		c := f.at
		for range c.Len() / 2 {
			if !yield(c.view(), c.view()) {
				return
			}
		}
	}
}

// Get is the value of a field; "" if there is none.
func (f Fields) Get(name string) (value string) {
	for n, v := range f.All() {
		if n == name {
			value = v
		}
	}
	return value
}

// Size is how many bytes of memory the fields take.
func (f Fields) Size() int {
	n := len(f.at.answer) - f.at.at
	for _, text := range f.at.long {
		n += len(text)
	}
	return n
}

// Bytes is the total length of the values.
func (f Fields) Bytes() (n int) {
	for _, v := range f.All() {
		n += len(v)
	}
	return n
}

// Entries sends XRANGE or XREVRANGE.
func Entries(c Conn, args ...any) *Reply[[]Entry] { return peruse(c, args, (*Cursor).entries) }

// Range asks for up to count entries of a stream.
func Range(c Conn, stream, from, to string, count int) *Reply[[]Entry] {
	return Entries(c, "XRANGE", stream, from, to, "COUNT", count)
}

// ReadGroup is ReadGroups for one stream.
func ReadGroup(c Conn, do func(Entry), args ...any) *Reply[int] {
	return ReadGroups(c, func(_ string, e Entry) { do(e) }, args...)
}

// ReadGroups sends XREADGROUP. The answer is how many entries there were. When it is taken, do is called for each of
// them, with the name of its stream.
func ReadGroups(c Conn, do func(stream string, e Entry), args ...any) *Reply[int] {
	return peruse(c, args, func(c *Cursor) (n int) {
		for range c.Len() {
			if c.Len() != 2 {
				return n // what is left over is an error
			}
			stream := c.view()
			entries := c.Len()
			for range entries {
				do(stream, c.Entry()) // without fields, if it is a pending entry that was deleted
			}
			n += entries
		}
		return n
	})
}

func (c *Cursor) entries() []Entry {
	out := make([]Entry, c.Len())
	for i := range out {
		out[i] = c.Entry()
	}
	return out
}

// Pending is an entry that was read but is not acknowledged.
type Pending struct {
	ID, Consumer string
	Deliveries   int64
}

// PendingOf lists the pending entries of a group: those of one consumer, or of all if consumer is "".
func PendingOf(c Conn, stream, group, from, to string, count int, consumer string) *Reply[[]Pending] {
	args := []any{"XPENDING", stream, group, from, to, count}
	if consumer != "" {
		args = append(args, consumer)
	}
	return ask(c, args, func(answer any) ([]Pending, error) {
		list, ok := answer.([]any)
		if !ok {
			return nil, unreadable(answer)
		}
		out := make([]Pending, len(list))
		for i, row := range list {
			r, _ := row.([]any)
			if len(r) != 4 {
				return nil, unreadable(answer)
			}
			out[i] = Pending{text(r[0]), text(r[1]), int64(ToInt(r[3]))}
		}
		return out, nil
	})
}

// Owners counts the pending entries of a group, in all and by consumer.
type Owners struct {
	Count     int64
	Consumers map[string]int64
}

// OwnersOf counts the pending entries of a group.
func OwnersOf(c Conn, stream, group string) *Reply[Owners] {
	return ask(c, []any{"XPENDING", stream, group}, func(answer any) (o Owners, err error) {
		list, _ := answer.([]any)
		if len(list) != 4 {
			return o, unreadable(answer)
		}
		o = Owners{int64(ToInt(list[0])), map[string]int64{}}
		rows, _ := list[3].([]any)
		for _, row := range rows {
			if r, _ := row.([]any); len(r) == 2 {
				o.Consumers[text(r[0])] = int64(ToInt(r[1]))
			}
		}
		return o, nil
	})
}

// ConsumersOf lists the consumers of a group, each with its number of pending entries.
func ConsumersOf(c Conn, stream, group string) *Reply[map[string]int64] {
	return ask(c, []any{"XINFO", "CONSUMERS", stream, group}, func(answer any) (map[string]int64, error) {
		list, ok := answer.([]any)
		if !ok {
			return nil, unreadable(answer)
		}
		m := make(map[string]int64, len(list))
		for _, row := range list {
			r, _ := row.([]any)
			name, _ := valueOf(r, "name").(string)
			m[name] = int64(ToInt(valueOf(r, "pending")))
		}
		return m, nil
	})
}

// valueOf finds a value in a list of names and values.
func valueOf(pairs []any, name string) any {
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i] == any(name) {
			return pairs[i+1]
		}
	}
	return nil
}

// StreamInfo is the part of XINFO STREAM that is used.
type StreamInfo struct {
	Length int64
	Added  int64 // entries ever added; 0 if Redis does not count them
}

// InfoOf sends XINFO STREAM.
func InfoOf(c Conn, stream string) *Reply[StreamInfo] {
	return ask(c, []any{"XINFO", "STREAM", stream}, func(answer any) (StreamInfo, error) {
		list, ok := answer.([]any)
		if !ok {
			return StreamInfo{}, unreadable(answer)
		}
		return StreamInfo{int64(ToInt(valueOf(list, "length"))), int64(ToInt(valueOf(list, "entries-added")))}, nil
	})
}
