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

// arrivals is what a read of new entries found out in one round trip.
type arrivals struct {
	entries []Entry
	// little: the whole stream is small, so that any number of its entries can be read at once. Only a read that
	// waits asks. MEMORY USAGE adds up as many nodes as may lie before the next entry to read. It estimates the
	// rest, but never returns less than that sum.
	little bool
	// subs is the version of the subscriptions after the read; nil: not asked for.
	subs *versionReply
}

// readNew reads up to count new entries of a partition. With wait it waits up to a second for the first.
//
// One Redis runs the commands of a pipeline in their order, also behind a read that waited. So the version is
// newer than the entries: it shows every subscription that was put before they were written. In a cluster the
// keys of the subscriptions may lie on other nodes, whose answer may be older.
func (s *Store) readNew(ctx context.Context, p, count int, wait bool) (a arrivals, err error) {
	// Without it the client would wait ten seconds longer for a node that hangs.
	ctx, cancel := context.WithTimeout(ctx, rdb.BlockFor+rdb.ReplyTimeout)
	defer cancel()
	pipe := s.db.BlockingPipe(ctx)
	var size *rdb.Reply[int64]
	var read *incomingRead
	if wait {
		read = s.askIncoming(pipe, p, count, unread, "BLOCK", rdb.BlockFor.Milliseconds())
		size = rdb.Int(pipe, "MEMORY", "USAGE", s.keys.Incoming(p), "SAMPLES", 4096)
	} else {
		read = s.askIncoming(pipe, p, count, unread)
	}
	if !s.db.IsCluster() {
		a.subs = s.askVersion(pipe)
	}
	_ = pipe.Run() // each command has its own error
	a.entries, err = s.incomingEntries(ctx, p, read)
	a.little = size != nil && size.Err() == nil && size.Val() <= littleBytes
	return a, err
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
	a, err := s.readNew(ctx, p, count, false)
	return a.entries, err
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
