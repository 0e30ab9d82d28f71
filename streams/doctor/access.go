package doctor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/streams/internal/rdb"
)

// examineAccess finds out what the user of the URL may do. Redis 7 tells a script of every command. Where scripts are refused, or
// Redis is older, three harmless commands are tried.
func (d *exam) examineAccess(ctx context.Context) error {
	refused, asked, err := d.mayNot(ctx)
	if err != nil {
		return err
	}
	if !asked {
		if refused, err = d.probe(ctx); err != nil {
			return err
		}
	}
	switch {
	case len(refused) > 0:
		d.add(AreaRedis, "access", LevelProblem, "the user of MEDIS_REDIS_URL may not: "+strings.Join(refused, "; "),
			"run the ACL SETUSER line in docs/OPERATIONS.md, What Redis has to be")
	case asked:
		d.ok(AreaRedis, "access", "may run every command that is used, on keys "+d.cfg.Prefix+":* and channel "+d.keys.Control())
	default:
		d.ok(AreaRedis, "access", "may run scripts, write and use pub/sub; single commands could not be checked")
	}
	return nil
}

// examineWrites finds out whether Redis accepts writes now. The reason for a refusal does not matter.
func (d *exam) examineWrites(ctx context.Context) error {
	err := d.db.Probe(ctx)
	switch {
	case err == nil:
		d.ok(AreaRedis, "writes", "are accepted")
	case rdb.IsRefused(err): // examineAccess reports it
	case ofServer(err) != nil:
		return err
	default:
		d.add(AreaRedis, "writes", LevelProblem, "are refused: "+causeOf(err),
			"see the other findings about Redis; dispatchers continue by themselves once it accepts writes")
	}
	return nil
}

// neededCommands has one example of every command that dispatchers, the CLI and this examination send.
func (d *exam) neededCommands() [][]string {
	in, ch, retry, hash := d.keys.Incoming(0), d.keys.Channel(0, "a"), d.keys.Retry(0, "a"), d.keys.Failures(0, "a")
	list := d.cfg.Prefix + ":recover:a"
	return [][]string{
		{"XADD", in, "*", "topic", "a"}, {"XREADGROUP", "GROUP", rdb.GroupPush, "a", "STREAMS", ch, ">"}, {"XACK", ch, rdb.GroupPush, "0-1"},
		{"XDEL", ch, "0-1"}, {"XTRIM", ch, "MAXLEN", "1"}, {"XLEN", ch}, {"XRANGE", ch, "-", "+"}, {"XREVRANGE", ch, "+", "-"}, {"XPENDING", ch, rdb.GroupPush},
		{"XCLAIM", ch, rdb.GroupPush, "a", "0", "0-1"}, {"XGROUP", "CREATE", ch, rdb.GroupPush, "0"}, {"XGROUP", "DELCONSUMER", ch, rdb.GroupPush, "a"}, {"XGROUP", "SETID", ch, rdb.GroupPush, "0"},
		{"XINFO", "CONSUMERS", ch, rdb.GroupPush}, {"XINFO", "STREAM", ch},
		{"ZADD", retry, "1", "a"}, {"ZREM", retry, "a"}, {"ZCARD", retry}, {"ZSCORE", retry, "a"}, {"ZMSCORE", retry, "a"},
		{"ZRANGE", retry, "0", "1"}, {"ZREVRANGE", retry, "0", "1"}, {"ZRANGEBYSCORE", retry, "0", "1"},
		{"HSET", hash, "a", "b"}, {"HGET", hash, "a"}, {"HDEL", hash, "a"}, {"HGETALL", hash}, {"HMGET", hash, "a"}, {"HKEYS", hash}, {"HLEN", hash},
		{"HEXISTS", hash, "a"}, {"HSCAN", hash, "0"}, {"HSETNX", hash, "a", "b"}, {"HINCRBY", hash, "a", "1"},
		{"XINFO", "GROUPS", ch}, {"SADD", d.keys.Active(0), "a"}, {"SREM", d.keys.Active(0), "a"}, {"SSCAN", d.keys.Active(0), "0"}, {"SISMEMBER", d.keys.Active(0), "a"},
		{"SET", d.keys.Seen(0, "a"), "b"}, {"GET", d.keys.Seen(0, "a")},
		{"LPUSHX", d.keys.Probe(0), "b"}, {"LPOP", list}, {"LINDEX", list, "0"}, {"LLEN", list}, {"DEL", ch}, {"UNLINK", ch}, {"EXISTS", ch}, {"EXPIRE", ch, "1"}, {"PEXPIRE", ch, "1"}, {"TYPE", ch}, {"SCAN", "0"},
		{"EVALSHA", "a", "1", ch}, {"EVAL", "return 1", "1", ch}, {"TIME"}, {"PING"}, {"MULTI"}, {"EXEC"},
		{"PUBLISH", d.keys.Control(), "a"}, {"SUBSCRIBE", d.keys.Control()},
	}
}

// mayRunScript asks what the user may run. KEYS any of ours. ARGV a JSON array of commands, each an array of its words. Returns
// the numbers of those that are refused, nil if Redis does not know. It changes nothing.
var mayRunScript = rdb.NewScript(`
if not redis.acl_check_cmd then return false end
local refused = {}
for i, c in ipairs(cjson.decode(ARGV[1])) do
  if not redis.acl_check_cmd(unpack(c)) then refused[#refused + 1] = i end
end
return refused
`)

// mayNot lists the commands that the user may not run. asked is false if Redis does not say.
func (d *exam) mayNot(ctx context.Context) (refused []string, asked bool, err error) {
	needed := d.neededCommands()
	text, err := json.Marshal(needed)
	if err != nil {
		return nil, false, err
	}
	list, err := mayRunScript.Run(ctx, d.db, []string{d.keys.Incoming(0)}, string(text)).Slice()
	if err != nil {
		return nil, false, ofServer(err)
	}
	for _, at := range list {
		if i, is := at.(int64); is && i >= 1 && i <= int64(len(needed)) {
			refused = append(refused, needed[i-1][0])
		}
	}
	refused = slices.Compact(refused)
	if len(refused) > 0 {
		refused = []string{fmt.Sprintf("run %s on keys %s:* and channel %s", strings.Join(refused, ", "), d.cfg.Prefix, d.keys.Control())}
	}
	return refused, true, nil
}

// probe tries three commands that change nothing: a script that does not exist, a write to a key
// that never exists, and a subscription that ends at once.
func (d *exam) probe(ctx context.Context) (refused []string, err error) {
	none := strings.Repeat("0", 40)
	listen := d.db.TrySubscribe(ctx, d.keys.Control())
	for _, p := range []struct {
		what string
		err  error
	}{
		{"run scripts on keys of ours (EVALSHA)", rdb.Text(d.db.With(ctx), "EVALSHA", none, 1, d.keys.Incoming(0)).Err()},
		{"write to keys of ours (LPUSHX)", d.db.Probe(ctx)},
		{"subscribe to " + d.keys.Control(), listen},
	} {
		switch {
		case rdb.IsRefused(p.err):
			refused = append(refused, p.what)
		case ofServer(p.err) != nil:
			return nil, rdb.Failed("probe the user's rights", p.err)
		}
	}
	return refused, nil
}

// ofServer is nil for an error that Redis itself returned. Other errors mean that Redis was not reached.
func ofServer(err error) error {
	if err == nil || rdb.IsAnswer(err) {
		return nil
	}
	return err
}

// causeOf is the text of an error without the name of the failed step.
func causeOf(err error) string {
	if e, ok := errors.AsType[*medispatcher.StepError](err); ok {
		return e.Err.Error()
	}
	return err.Error()
}
