package entry

import (
	"strings"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/streams/internal/rdb"
)

// Released marks an entry whose id was remembered when the message first arrived, such as a delayed
// message that is now due. Deduplication must not drop it.
const Released = "~released"

// replayed marks a copy that a replay from the archive made. In Whole it is the line "replay".
const replayed = "~replay"

// tried is a field of a copy that was tried while it waited behind another of its key. In Whole it is the line "tried".
const tried = "~tried"

// ChannelValues are the fields of a channel's entry, as fanout.lua writes them.
func ChannelValues(p int, m medispatcher.Message) []any {
	if !m.Generated {
		return medispatcher.EncodeEntry(&m)
	}
	src := strings.TrimPrefix(m.ID, rdb.GeneratedID(p, ""))
	m.ID = ""
	return append(medispatcher.EncodeEntry(&m), "~src", src)
}
