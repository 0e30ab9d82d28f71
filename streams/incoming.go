package streams

import (
	"context"
	"maps"
	"time"

	"github.com/solate/medispatcher/streams/internal/rdb"
)

// Entry is an entry of the incoming stream that this process owns.
type Entry struct {
	ID     string
	fields rdb.Fields
	// follows: it stood right behind the entry before it, when one command read both. Nothing can come in between.
	follows bool
}

// Fields are the values of the entry by field, as its producer wrote them. If a field is repeated, its last value counts.
func (e Entry) Fields() map[string]string { return maps.Collect(e.fields.All()) }

// Time is when Redis accepted the entry.
func (e Entry) Time() time.Time { return rdb.EntryTime(e.ID) }

// awaitIncoming reads up to count new entries of a partition, and waits up to a second for the first.
// little reports whether the whole stream is small, so that any number of its entries can be read at
// once. MEMORY USAGE adds up as many nodes as may lie before the next entry to read. It estimates the
// rest, but never returns less than that sum.
func (s *Store) awaitIncoming(ctx context.Context, p, count int) (entries []Entry, little bool, err error) {
	// Without it the client would wait ten seconds longer for a node that hangs.
	ctx, cancel := context.WithTimeout(ctx, rdb.BlockFor+rdb.ReplyTimeout)
	defer cancel()
	pipe := s.db.BlockingPipe(ctx)
	read := s.askIncoming(pipe, p, count, unread, "BLOCK", rdb.BlockFor.Milliseconds())
	size := rdb.Int(pipe, "MEMORY", "USAGE", s.keys.Incoming(p), "SAMPLES", 4096)
	_ = pipe.Run() // each command has its own error
	entries, err = s.incomingEntries(ctx, p, read)
	return entries, size.Err() == nil && size.Val() <= littleBytes, err
}

const (
	littleBytes = 8 << 20
	littleFor   = 5 * time.Millisecond // short, so that not much is written meanwhile
)

// ReadIncoming reads up to count entries of a partition without waiting: new ones or, with own, those
// that this process already owns because of a lost reply or a failed step.
func (s *Store) ReadIncoming(ctx context.Context, p, count int, own bool) ([]Entry, error) {
	if own {
		return s.ownIncoming(ctx, p, count, "0")
	}
	return s.incomingEntries(ctx, p, s.askIncoming(s.db.WithBlocking(ctx), p, count, unread))
}

// unread reads new entries, where an entry id would read own ones behind it.
const unread = ">"

// ownIncoming reads entries that this process owns, after the entry id behind.
func (s *Store) ownIncoming(ctx context.Context, p, count int, behind string) ([]Entry, error) {
	return s.incomingEntries(ctx, p, s.askIncoming(s.db.WithBlocking(ctx), p, count, behind))
}

// incomingRead is a read of an incoming stream.
type incomingRead struct {
	*rdb.Reply[int]
	entries []Entry
}

func (s *Store) askIncoming(c rdb.Conn, p, count int, from string, block ...any) *incomingRead {
	args := append([]any{"XREADGROUP", "GROUP", rdb.GroupFanout, s.cfg.ID, "COUNT", count}, block...)
	args = append(args, "STREAMS", s.keys.Incoming(p), from)
	read := &incomingRead{}
	read.Reply = rdb.ReadGroup(c, func(e rdb.Entry) {
		read.entries = append(read.entries, Entry{ID: e.ID, fields: e.Fields, follows: len(read.entries) > 0 && from == unread})
	}, args...)
	return read
}

func (s *Store) incomingEntries(ctx context.Context, p int, read *incomingRead) ([]Entry, error) {
	err := read.Err()
	if rdb.IsNoGroup(err) {
		_ = s.AuditIncoming(ctx, p, false) // so that the ledger counts from the start; if it fails, the next audit begins it
		return nil, s.createGroup(ctx, s.keys.Incoming(p), rdb.GroupFanout)
	}
	if err != nil {
		return nil, rdb.Failed("read incoming", err)
	}
	return read.entries, nil
}
