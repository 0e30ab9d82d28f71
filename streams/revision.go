package streams

import (
	"context"
	"errors"
	"math/rand/v2"
	"strconv"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/streams/internal/rdb"
)

// maxRevision is the largest that a JSON number holds exactly.
const maxRevision = 1<<53 - 1

// revisionSpread is added to a revision at random, at most. What Redis loses it writes again
// at another time and, whatever its clock says by then, most likely with another number.
const revisionSpread = 1 << 20

// version is what tells one list of subscriptions from another. It is only ever compared,
// and a value that somebody wrote by hand is as good as any.
type version struct {
	read bool
	// revision is the announced one, documents the one that the documents were written with.
	// They lie in different slots of a cluster: a writer that dies between the two, and a
	// failover that loses one of them, show in the other.
	revision, documents string
	count               int64 // of the documents: one that was put or removed by hand
}

// number is the revision as people see it; 0: what is there is none.
func (v version) number() int64 {
	n, err := strconv.ParseInt(v.revision, 10, 64)
	if err != nil || n < 0 || n > maxRevision {
		return 0
	}
	return n
}

// Revision is the announced revision as it stands in Redis, and as people see it; 0: what is
// there is none. The text is empty where there is nothing, or a key of a wrong type.
func (s *Store) Revision(ctx context.Context) (text string, n int64, err error) {
	v, err := s.version(ctx)
	if v.revision == wrongType {
		return "", 0, err
	}
	return v.revision, v.number(), err
}

// version asks for the version of the list in one round trip.
func (s *Store) version(ctx context.Context) (version, error) {
	pipe := s.db.Pipe(ctx)
	revision := rdb.Text(pipe, "GET", s.keys.Revision())
	documents := rdb.Text(pipe, "GET", s.keys.Written())
	count := rdb.Int(pipe, "HLEN", s.keys.Subscriptions())
	_ = pipe.Run() // each command has its own error
	v := version{read: true, revision: opaque(revision), documents: opaque(documents), count: count.Val()}
	if rdb.IsWrongType(count.Err()) {
		return v, &medispatcher.StepError{Step: "the key " + s.keys.Subscriptions() + " is of a wrong type", Err: count.Err()}
	}
	return v, rdb.Failed("read the revision", errors.Join(unlessWrongType(revision.Err()), unlessWrongType(documents.Err()), count.Err()))
}

// wrongType stands for every value of a key that is no string. The next change of a
// subscription puts that right.
const wrongType = "(a key of a wrong type)"

// opaque is a value that is only compared.
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

// nextRevision, in Lua, is a revision that the key never had, not even before Redis lost its
// last writes or all of them: the time of Redis in microseconds, or more than the one before
// where that is larger, and some. A value that is no revision does not count.
const nextRevision = `
local function nextRevision(key, spread)
  local t = redis.call('TIME')
  local now = t[1] * 1000000 + t[2]
  local before = redis.pcall('GET', key)
  before = type(before) == 'string' and string.match(before, '^%d+$') and tonumber(before) or 0
  if before >= now and before < 2^52 then now = before end
  return string.format('%.0f', now + spread)
end
`

// announceScript counts a change of the subscriptions.
//
// KEYS the revision. ARGV what to add, at least 1. Returns the new revision. A repetition
// makes another one, and everybody looks once more. DEL comes first because it is allowed out
// of memory, and so is then SET: a full Redis lets subscriptions be removed.
var announceScript = rdb.NewScript(nextRevision + `
local next = nextRevision(KEYS[1], tonumber(ARGV[1]))
redis.call('DEL', KEYS[1])
redis.call('SET', KEYS[1], next)
return next
`)

func spread() int64 { return 1 + rand.Int64N(revisionSpread) }

// announce counts a change and tells the dispatchers. The documents, the revision and the
// pub/sub channel lie in different slots of a cluster, so this cannot be one step.
func (s *Store) announce(ctx context.Context) error {
	if err := announceScript.Run(ctx, s.db, []string{s.keys.Revision()}, spread()).Err(); err != nil {
		return rdb.Failed("count the change", err)
	}
	_ = rdb.Int(s.db.With(ctx), "PUBLISH", s.keys.Control(), changed).Err() // a hint
	return nil
}
