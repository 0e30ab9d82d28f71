package streams

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/streams/internal/rdb"
)

//go:embed fanout.lua
var fanoutSource string

var fanoutScript = rdb.NewScript(countLua + keepLua + vanishedLua + renewLua + fanoutSource)

// Entry is an entry of the incoming stream that this process owns.
type Entry struct {
	ID     string
	Fields map[string]string
}

// Time is when Redis accepted the entry.
func (e Entry) Time() time.Time { return rdb.EntryTime(e.ID) }

// ReadIncoming reads up to count new entries of a partition, waiting up to a
// second for the first. With own set it returns entries this process already owns
// instead, which a lost reply or a failed step left behind, without waiting; none are left
// when it returns nothing.
func (s *Store) ReadIncoming(ctx context.Context, p, count int, own bool) ([]Entry, error) {
	if own {
		return s.ownIncoming(ctx, p, count, "0")
	}
	entries, _, err := s.awaitIncoming(ctx, p, count)
	return entries, err
}

// awaitIncoming is ReadIncoming of new entries. little reports whether all of the stream, and so
// whatever is read of it at once, is small: Redis adds up the nodes of the stream, as many as may lie
// before what is read next; behind them it estimates, and never less than it has added up.
func (s *Store) awaitIncoming(ctx context.Context, p, count int) (entries []Entry, little bool, err error) {
	// By itself the client would wait ten seconds longer than that for a node that hangs.
	ctx, cancel := context.WithTimeout(ctx, rdb.BlockFor+rdb.ReplyTimeout)
	defer cancel()
	pipe := s.db.BlockingPipe(ctx)
	read := rdb.ReadGroup(pipe, s.incomingArgs(p, count, ">", "BLOCK", rdb.BlockFor.Milliseconds())...)
	size := rdb.Int(pipe, "MEMORY", "USAGE", s.keys.Incoming(p), "SAMPLES", 4096)
	_ = pipe.Run() // each command has its own error
	entries, err = s.incomingEntries(ctx, p, read)
	return entries, size.Err() == nil && size.Val() <= littleBytes, err
}

const (
	littleBytes = 8 << 20
	littleFor   = 5 * time.Millisecond // not much is written meanwhile
)

// moreIncoming reads new entries and waits for none.
func (s *Store) moreIncoming(ctx context.Context, p, count int) ([]Entry, error) {
	return s.incomingEntries(ctx, p, rdb.ReadGroup(s.db.WithBlocking(ctx), s.incomingArgs(p, count, ">")...))
}

// ownIncoming reads entries behind one that this process owns.
func (s *Store) ownIncoming(ctx context.Context, p, count int, behind string) ([]Entry, error) {
	return s.incomingEntries(ctx, p, rdb.ReadGroup(s.db.WithBlocking(ctx), s.incomingArgs(p, count, behind)...))
}

func (s *Store) incomingArgs(p, count int, from string, block ...any) []any {
	args := append([]any{"XREADGROUP", "GROUP", rdb.GroupFanout, s.cfg.ID, "COUNT", count}, block...)
	return append(args, "STREAMS", s.keys.Incoming(p), from)
}

func (s *Store) incomingEntries(ctx context.Context, p int, read *rdb.Reply[[]rdb.Entry]) ([]Entry, error) {
	res, err := read.Result()
	if rdb.IsNoGroup(err) {
		_ = s.AuditIncoming(ctx, p, false) // from its beginning; else the next look begins it
		return nil, s.createGroup(ctx, s.keys.Incoming(p), rdb.GroupFanout)
	}
	if err != nil || len(res) == 0 {
		return nil, rdb.Failed("read incoming", err)
	}
	entries := make([]Entry, len(res))
	for i, e := range res {
		entries[i] = Entry{ID: e.ID, Fields: e.Fields.Map()}
	}
	return entries, nil
}

// groupScript makes a group and, where it is missing, its stream. The group sees everything
// in the stream: at "$" it would skip what arrived while the group was lost.
//
// KEYS stream. ARGV group. An error says BUSYGROUP where the group is there: safe to repeat.
// XACK comes first because it is allowed out of memory, and so is then the rest: a channel
// that nobody has read yet must drain as well when Redis is full.
var groupScript = rdb.NewScript(`
redis.call('XACK', KEYS[1], ARGV[1], '0-1')
return redis.call('XGROUP', 'CREATE', KEYS[1], ARGV[1], '0', 'MKSTREAM')
`)

func (s *Store) createGroup(ctx context.Context, stream, group string) error {
	err := groupScript.Run(ctx, s.db, []string{stream}, group).Err()
	if rdb.IsBusyGroup(err) {
		return nil
	}
	return rdb.Failed("create group "+group+" on "+stream, err)
}

// Routing says what is to become of one incoming entry. Exactly one of Reason,
// Due and Subs holds; all empty means that nobody wants the topic: to the unrouted messages.
type Routing struct {
	EntryID  string
	Message  medispatcher.Message
	Reason   string    // why it cannot be decoded: to the quarantine
	Due      time.Time // when it is to be routed: to the delayed messages
	Subs     []string  // copied to the channels of these subscriptions, sorted
	After    string    // the last subscription that has its copy already; Subs may be empty then
	More     bool      // not all who want it are in Subs: another step goes on behind the last
	Released bool      // it comes from the delayed messages, its id was marked as seen then
}

func (r *Routing) unrouted() bool {
	return r.Reason == "" && r.Due.IsZero() && len(r.Subs) == 0 && r.After == ""
}

// Routed is what became of one incoming entry.
type Routed struct {
	Result RoutedResult
	Failed []string // subscriptions whose channel could not take the copy, now in the quarantine
	At     string   // of RoutedBehind: the last subscription that has its copy; "": none has
}

// RoutedResult classifies what became of an incoming entry.
type RoutedResult string

// The results of a fan-out.
const (
	RoutedCopied      RoutedResult = "copied"
	RoutedUnroutable  RoutedResult = "unroutable" // kept among the unrouted messages
	RoutedDuplicate   RoutedResult = "duplicate"
	RoutedQuarantined RoutedResult = "quarantined"
	RoutedDelayed     RoutedResult = "delayed"
	RoutedVanished    RoutedResult = "vanished" // deleted by hand before it was moved
	RoutedGone        RoutedResult = "gone"     // not ours any more: done before, or by another dispatcher
)

// The results of a step that leaves the entry where it is.
const (
	RoutedMore   RoutedResult = "more" // the subscriptions of this step have their copies
	RoutedBehind RoutedResult = "at"   // nothing was done: others have their copies than After says
	RoutedWait   RoutedResult = "wait" // nothing was done: an entry before it is not finished
)

func (r RoutedResult) final() bool {
	return r != "" && r != RoutedMore && r != RoutedBehind && r != RoutedWait
}

// Fanout moves entries from a partition's incoming stream to where they belong.
// For each entry the copies, the acknowledgement and the removal are one step, or several where
// More says so: what is copied is then noted in Redis, and the entry stays until the last step.
// Entries that this process does not own are left alone, so a repetition is safe.
// The results stand in the order of the routings. With an error, those entries whose
// result is empty are as they were, and the others are done.
func (s *Store) Fanout(ctx context.Context, p int, routings []Routing) ([]Routed, error) {
	if len(routings) == 0 {
		return nil, nil
	}
	k := keyList{keys: append(s.countKeys(p), s.keys.Incoming(p), s.keys.Delayed(p), s.keys.DelayedBody(p),
		s.keys.Quarantine(p), s.keys.QuarantineSize(p), s.keys.Unrouted(p), s.keys.UnroutedSize(p), s.keys.Copying(p)), index: map[string]int{}}
	argv := []any{
		s.cfg.ID, s.cfg.DedupeWindow.Milliseconds(),
		s.cfg.Quarantine.Entries, s.cfg.Quarantine.Bytes, s.cfg.Unrouted.Entries, s.cfg.Unrouted.Bytes,
		len(routings), routings[0].EntryID, routings[len(routings)-1].EntryID,
	}
	for _, r := range routings {
		seen := 0
		if r.Message.ID != "" && !r.Message.Generated && r.Reason == "" && (!r.Released || r.unrouted()) {
			seen = k.place(s.keys.Seen(p, r.Message.ID))
		}
		argv = append(argv, r.EntryID, r.Message.Time.UnixMilli(), seen)
		switch {
		case r.Reason != "":
			argv = append(argv, "quarantine", r.Reason)
		case !r.Due.IsZero():
			argv = append(argv, "delay", r.Due.UnixMilli())
		default:
			upto := ""
			if r.More {
				upto = r.Subs[len(r.Subs)-1]
			}
			argv = append(argv, "copy", r.After, upto, len(r.Subs))
			for _, sub := range r.Subs {
				argv = append(argv, k.place(s.keys.Channel(p, sub)))
			}
		}
	}
	res, err := fanoutScript.Run(ctx, s.db, k.keys, argv...).StringSlice()
	if err != nil {
		return nil, rdb.Failed("fan-out", err)
	}
	return s.parseRouted(p, res, routings)
}

func (s *Store) parseRouted(p int, res []string, routings []Routing) ([]Routed, error) {
	if len(res) != len(routings) {
		return nil, rdb.Failed("fan-out", fmt.Errorf("%d answers for %d entries", len(res), len(routings)))
	}
	routed := make([]Routed, len(res))
	var problems []error
	known := map[string]bool{} // most often they all say the same
	for i, line := range res {
		result, rest, _ := strings.Cut(line, " ")
		routed[i].Result = RoutedResult(result)
		if result == "error" {
			routed[i].Result = ""
			if !known[rest] {
				known[rest] = true
				problems = append(problems, rdb.Failed("fan-out", errors.New(rest)))
			}
			continue
		}
		if result == string(RoutedVanished) {
			s.vanished.note(Vanished{Partition: p, From: fromIncoming, Count: 1, First: routings[i].EntryID, Last: routings[i].EntryID})
		}
		if routed[i].Result == RoutedBehind {
			routed[i].At = rest
			continue
		}
		for at := range strings.FieldsSeq(rest) {
			n, err := strconv.Atoi(at)
			if err != nil || n < 1 || n > len(routings[i].Subs) {
				return nil, rdb.Failed("fan-out", errors.New("unreadable answer"))
			}
			routed[i].Failed = append(routed[i].Failed, routings[i].Subs[n-1])
		}
	}
	return routed, errors.Join(problems...)
}
