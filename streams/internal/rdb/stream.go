package rdb

// Entry is an entry of a stream.
type Entry struct {
	ID     string
	Fields Fields
}

// Fields are the fields of an entry as Redis answers them: names and values in turn, all strings.
// If a name is there twice, the last one counts.
type Fields []any

// Has reports whether there is a field.
func (f Fields) Has(name string) bool { return f.at(name) >= 0 }

// Get is the value of a field; "" if there is none.
func (f Fields) Get(name string) string {
	if i := f.at(name); i >= 0 {
		return text(f[i+1])
	}
	return ""
}

func (f Fields) at(name string) int {
	for i := len(f) - len(f)%2 - 2; i >= 0; i -= 2 {
		if n, _ := f[i].(string); n == name {
			return i
		}
	}
	return -1
}

// Bytes is the total length of the values.
func (f Fields) Bytes() (n int) {
	for i := 1; i < len(f); i += 2 {
		n += len(text(f[i]))
	}
	return n
}

// Map returns the fields by name.
func (f Fields) Map() map[string]string {
	m := make(map[string]string, len(f)/2)
	for i := 0; i+1 < len(f); i += 2 {
		m[text(f[i])] = text(f[i+1])
	}
	return m
}

// FieldsOf makes Fields from a map, in no order.
func FieldsOf(m map[string]string) Fields {
	f := make(Fields, 0, 2*len(m))
	for name, value := range m {
		f = append(f, name, value)
	}
	return f
}

// Entries sends XRANGE or XREVRANGE.
func Entries(c Conn, args ...any) *Reply[[]Entry] { return ask(c, args, entries) }

// Range asks for up to count entries of a stream.
func Range(c Conn, stream, from, to string, count int) *Reply[[]Entry] {
	return Entries(c, "XRANGE", stream, from, to, "COUNT", count)
}

// ReadGroup sends XREADGROUP for one stream. If there is nothing to read, the error is IsNil.
func ReadGroup(c Conn, args ...any) *Reply[[]Entry] {
	return ask(c, args, func(answer any) ([]Entry, error) {
		streams, _ := answer.([]any)
		if len(streams) == 0 {
			return nil, nil
		}
		stream, _ := streams[0].([]any)
		if len(stream) != 2 {
			return nil, unreadable(answer)
		}
		return entries(stream[1])
	})
}

func entries(answer any) ([]Entry, error) {
	list, ok := answer.([]any)
	if !ok {
		return nil, unreadable(answer)
	}
	out := make([]Entry, len(list))
	for i, row := range list {
		pair, _ := row.([]any)
		if len(pair) != 2 {
			return nil, unreadable(answer)
		}
		fields, _ := pair[1].([]any) // nil for a pending entry that was deleted
		out[i] = Entry{text(pair[0]), fields}
	}
	return out, nil
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
			m[Fields(r).Get("name")] = int64(ToInt(Fields(r).value("pending")))
		}
		return m, nil
	})
}

func (f Fields) value(name string) any {
	if i := f.at(name); i >= 0 {
		return f[i+1]
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
		f := Fields(list)
		return StreamInfo{int64(ToInt(f.value("length"))), int64(ToInt(f.value("entries-added")))}, nil
	})
}
