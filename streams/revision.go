package streams

import (
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

// number is the revision as users see it, 0 if there is no valid one.
func (v version) number() int64 {
	n, err := strconv.ParseInt(v.revision, 10, 64)
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
	return v.revision, v.number(), err
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

// nextRevision is Lua. nextRevision(key, spread) returns a revision that the key never had, not even
// before Redis lost some or all of its writes. It is the time of Redis in microseconds or the previous
// revision, whichever is larger, plus spread. A value that is no revision is ignored.
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

// announceScript sets a new revision after a change of the subscriptions.
//
// KEYS the revision. ARGV what to add, at least 1. Returns the new revision. Safe to repeat:
// it sets another revision, and every process reads once more. DEL comes first because Redis
// allows it, and then SET, even when out of memory. Subscriptions can be removed from a full
// Redis.
var announceScript = rdb.NewScript(nextRevision + `
local next = nextRevision(KEYS[1], tonumber(ARGV[1]))
redis.call('DEL', KEYS[1])
redis.call('SET', KEYS[1], next)
return next
`)

// spread is a random number from 1 to revisionSpread.
func spread() int64 { return 1 + rand.Int64N(revisionSpread) }

// announce sets a new revision and tells the dispatchers. The documents and the revision are in
// different slots of a cluster, so writing both cannot be one step.
func (s *Store) announce(ctx context.Context) error {
	if err := announceScript.Run(ctx, s.db, []string{s.keys.Revision()}, spread()).Err(); err != nil {
		return rdb.Failed("announce the change", err)
	}
	_ = rdb.Int(s.db.With(ctx), "PUBLISH", s.keys.Control(), changed).Err() // a hint
	return nil
}
