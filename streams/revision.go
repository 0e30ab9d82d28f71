package streams

import (
	"cmp"
	"context"
	"errors"
	"math/rand/v2"
	"strconv"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/streams/internal/rdb"
)

// maxRevision is the largest integer that a JSON number holds exactly.
const maxRevision = 1<<53 - 1

// revisionSpread is the most that is added to a revision at random. If Redis loses a revision and
// its clock is set back, the next one is still most likely a different number.
const revisionSpread = 1 << 20

// version tells one state of the subscriptions from another. It is only ever compared, so a value
// that somebody wrote by hand does no harm.
type version struct {
	read bool
	// revision is the announced revision, documents the version written together with the documents.
	// They are in different slots of a cluster. If a writer dies between the two, or a failover
	// loses one of them, the other still shows the change.
	revision, documents string
	count               int64 // number of documents: shows one that was added or removed by hand
}

// number is the revision as users see it, 0 if there is no valid one. The version of the documents is announced as the next one.
func (v version) number() int64 {
	return cmp.Or(revisionOf(v.documents), revisionOf(v.revision))
}

func revisionOf(text string) int64 {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 0 || n > maxRevision {
		return 0
	}
	return n
}

// Revision returns the announced revision as stored in Redis, and as users see it. text is empty if
// there is none, or the key is of a wrong type. n is 0 if there is no valid revision.
func (s *Store) Revision(ctx context.Context) (text string, n int64, err error) {
	v, err := s.version(ctx)
	if v.revision == wrongType {
		return "", 0, err
	}
	return v.revision, revisionOf(v.revision), err
}

// version reads the version of the subscriptions in one round trip.
func (s *Store) version(ctx context.Context) (version, error) {
	pipe := s.db.Pipe(ctx)
	asked := s.askVersion(pipe)
	_ = pipe.Run() // each command has its own error
	return asked.version()
}

// versionReply is the answer to askVersion.
type versionReply struct {
	revision, documents *rdb.Reply[string]
	count               *rdb.Reply[int64]
	key                 string
}

// askVersion asks for the version of the subscriptions in a round trip with other commands.
func (s *Store) askVersion(pipe *rdb.Pipe) *versionReply {
	return &versionReply{
		revision: rdb.Text(pipe, "GET", s.keys.Revision()), documents: rdb.Text(pipe, "GET", s.keys.Written()),
		count: rdb.Int(pipe, "HLEN", s.keys.Subscriptions()), key: s.keys.Subscriptions(),
	}
}

func (r *versionReply) version() (version, error) {
	v := version{read: true, revision: opaque(r.revision), documents: opaque(r.documents), count: r.count.Val()}
	if rdb.IsWrongType(r.count.Err()) {
		return v, &medispatcher.StepError{Step: "the key " + r.key + " is of a wrong type", Err: r.count.Err()}
	}
	return v, rdb.Failed("read the revision", errors.Join(unlessWrongType(r.revision.Err()), unlessWrongType(r.documents.Err()), r.count.Err()))
}

// wrongType stands for any value of a key that is not a string. The next change of a subscription
// overwrites it.
const wrongType = "(a key of a wrong type)"

// opaque returns a value that is only compared.
func opaque(cmd *rdb.Reply[string]) string {
	if rdb.IsWrongType(cmd.Err()) {
		return wrongType
	}
	return cmd.Val()
}

func unlessWrongType(err error) error {
	if rdb.IsWrongType(err) || rdb.IsNil(err) {
		return nil
	}
	return err
}

// nextRevision is Lua. nextRevision(before, spread) returns a revision that a key never had, not even before Redis lost some
// or all of its writes. It is the time of Redis in microseconds or the value before, whichever is larger, plus spread. A value
// that is no revision is ignored.
const nextRevision = `
local function nextRevision(before, spread)
  local t = redis.call('TIME')
  local now = t[1] * 1000000 + t[2]
  before = string.match(before, '^%d+$') and tonumber(before) or 0
  if before >= now and before < 2^52 then now = before end
  return string.format('%.0f', now + spread)
end
local function value(key)
  local v = redis.pcall('GET', key)
  return type(v) == 'string' and v or ''
end
`

// announceScript sets the revision to a version that the documents have got, so that readers know it.
//
// KEYS the revision. ARGV the version. Returns the revision that is set: the version, or the one before if that is larger. Safe
// to repeat: it then finds the version. DEL comes first because Redis allows it, and then SET, even when out of memory.
// Subscriptions can be removed from a full Redis.
var announceScript = rdb.NewScript(nextRevision + `
local before = value(KEYS[1])
local n = string.match(before, '^%d+$') and tonumber(before)
if n and n < 2^52 and n >= tonumber(ARGV[1]) then return before end
redis.call('DEL', KEYS[1])
redis.call('SET', KEYS[1], ARGV[1])
return ARGV[1]
`)

// overtakeScript gives the documents a version that is larger than a revision, though they have not changed.
//
// KEYS the documents' version, changes. ARGV the version that they should have, the revision, what to add, changes kept. Returns the version
// that they have. Safe to repeat: it does nothing if they have another version already.
var overtakeScript = rdb.NewScript(nextRevision + `
local from = value(KEYS[1])
if from ~= ARGV[1] then return from end
local to = nextRevision(ARGV[2], tonumber(ARGV[3]))
redis.call('SET', KEYS[1], to)
redis.pcall('XADD', KEYS[2], 'MAXLEN', '~', ARGV[4], '*', 'from', from, 'to', to)
return to
`)

// spread is a random number from 1 to revisionSpread.
func spread() int64 { return 1 + rand.Int64N(revisionSpread) }

// announce makes the version that a change gave the documents the revision. The documents and the revision are in
// different slots of a cluster, so writing both cannot be one step.
func (s *Store) announce(ctx context.Context, documents string) error {
	for range changeTries {
		revision, err := announceScript.Run(ctx, s.db, []string{s.keys.Revision()}, documents).Text()
		if err != nil {
			return rdb.Failed("announce the change", err)
		}
		if revision == documents {
			break
		}
		// Another writer announced a later change before this one, or Redis has lost something, or its clock was ahead. The
		// revision is good if it is the version now: that has this change, too.
		k := []string{s.keys.Written(), s.keys.Changes()}
		next, err := overtakeScript.Run(ctx, s.db, k, documents, revision, spread(), changesKept).Text()
		if err != nil {
			return rdb.Failed("announce the change", err)
		}
		documents = next
		if next == revision {
			break
		}
	}
	return nil
}
