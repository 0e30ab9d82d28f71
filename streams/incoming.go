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
	// fits is how many of the next entries may be read at once, because they are little. 0: it was not asked.
	fits int
	// subs is the version of the subscriptions after the read; nil: not asked for.
	subs *versionReply
	more bool // there may be more, though less came than was asked for
}

// readNew reads up to count new entries of a partition. It waits so long for the first, [rdb.BlockFor] at most; 0: not at
// all. With sized it asks how many of those behind them fit into one read.
//
// One Redis runs the commands of a pipeline in their order, also behind a read that waited. So the version is
// newer than the entries: it shows every subscription that was put before they were written. In a cluster the
// keys of the subscriptions may lie on other nodes, whose answer may be older.
func (s *Store) readNew(ctx context.Context, p, count int, wait time.Duration, sized bool) (a arrivals, err error) {
	// Without it the client would wait ten seconds longer for a node that hangs.
	ctx, cancel := context.WithTimeout(ctx, rdb.BlockFor+rdb.ReplyTimeout)
	defer cancel()
	pipe := s.db.BlockingPipe(ctx)
	var size, length *rdb.Reply[int64]
	var read *incomingRead
	if wait > 0 {
		read = s.askIncoming(pipe, p, count, unread, "BLOCK", wait.Milliseconds())
	} else {
		read = s.askIncoming(pipe, p, count, unread)
	}
	if sized {
		size = rdb.Int(pipe, "MEMORY", "USAGE", s.keys.Incoming(p), "SAMPLES", 4096)
		length = rdb.Int(pipe, "XLEN", s.keys.Incoming(p))
	}
	if !s.db.IsCluster() {
		a.subs = s.askVersion(pipe)
	}
	_ = pipe.Run() // each command has its own error
	a.entries, err = s.incomingEntries(ctx, p, read)
	if size != nil && size.Err() == nil && length.Err() == nil {
		a.fits = fits(size.Val(), length.Val())
	}
	return a, err
}

const (
	littleBytes = 8 << 20
	// nodeEntries is how many entries Redis puts into a node of a stream, unless it is told to put more
	// (stream-node-max-entries).
	nodeEntries = 100
)

// fits is how many of the next entries of a stream may be read at once, by its size in bytes and its length. What is written
// behind them later does not matter. At most fanoutRead of them were not there.
//
// MEMORY USAGE adds up as many nodes as may lie before the next entries, and takes the others to be as large on average. So
// it never says less than those nodes take. And there are at least length/nodeEntries nodes, so it never says less than
// length/nodeEntries/n times what the first n take.
func fits(size, length int64) int {
	if size <= littleBytes {
		return int(min(fanoutBatch, fanoutRead+length))
	}
	return int(min(fanoutBatch, littleBytes*length/nodeEntries/size))
}

// ReadIncoming reads up to count entries of a partition without waiting: new ones or, with own, those
// that this process already owns because of a lost reply or a failed step.
func (s *Store) ReadIncoming(ctx context.Context, p, count int, own bool) ([]Entry, error) {
	if own {
		return s.ownIncoming(ctx, p, count, "0")
	}
	a, err := s.readNew(ctx, p, count, 0, false)
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
