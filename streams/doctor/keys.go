package doctor

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/streams/internal/rdb"
)

// Kinds of keys, with the names that docs/ARCHITECTURE.md gives them.
const (
	kindIncoming    = "incoming"
	kindQuarantine  = "quarantine"
	kindUnrouted    = "unrouted"
	kindDelayed     = "delayed"
	kindDelayedBody = "delayed:body"
	kindChannel     = "ch"
	kindRetry       = "retry"
	kindFailures    = "failures"
	kindDead        = "dead"
	kindSeen        = "seen"
	kindRecover     = "recover"
	kindActive      = "active"
	kindArchive     = "archive"
	kindActiveDead  = "active:dead"
)

// keyTypes is the Redis type of each kind of key.
var keyTypes = map[string]string{
	kindIncoming: "stream", kindQuarantine: "stream", kindQuarantine + ":size": "hash", kindUnrouted: "stream", kindUnrouted + ":size": "hash", "copying": "hash",
	kindActive: "set", kindActiveDead: "set", kindArchive: "stream", kindArchive + ":state": "hash", "replay": "hash", "replays": "hash",
	kindDelayed: "zset", kindDelayedBody: "hash",
	kindChannel: "stream", kindRetry: "zset", "line": "hash", "wait": "hash", kindFailures: "hash", kindDead: "stream", kindRecover: "list",
	"subscriptions": "hash", "subscriptions:rev": "string", "dispatchers": "zset", "dispatcher": "string", "stats": "hash", "stats:sampler": "string", "recovering": "hash", "changes": "stream", "written": "string", "bench": "hash", "clock": "hash", "book": "hash", "partitions": "string", "deliveries": "list",
}

// place is one key of medispatcher.
type place struct {
	key  string
	kind string
	p    int    // partition; -1: none
	sub  string // subscription, for the keys of a channel
}

// inventory is every key of medispatcher in Redis, except those that remember producers' ids.
type inventory struct {
	places   []place // of the right type
	complete bool
}

// placeOf says what a key is. ok is false for a key that is not examined.
func placeOf(k rdb.Keys, key string) (at place, ok bool) {
	rest, ours := strings.CutPrefix(key, k.Prefix+":")
	if !ours {
		return at, false
	}
	at = place{key: key, p: -1}
	if tagged, has := strings.CutPrefix(rest, "{"); has {
		number, name, cut := strings.Cut(tagged, "}:")
		p, err := strconv.Atoi(number)
		if !cut || err != nil || p < 0 {
			return at, false
		}
		at.p, at.kind = p, name
		if kind, sub, has := strings.Cut(name, ":"); has && keyTypes[name] == "" {
			at.kind, at.sub = kind, sub
		}
		_, ok = keyTypes[at.kind]
		return at, ok && at.kind != kindRecover
	}
	at.kind = rest
	if _, known := keyTypes[rest]; !known {
		at.kind, _, _ = strings.Cut(rest, ":")
	}
	_, ok = keyTypes[at.kind]
	return at, ok && at.kind != "subscriptions" || rest == "subscriptions"
}

// takeStock finds every key of medispatcher and checks its type.
func (d *exam) takeStock(ctx context.Context) error {
	found, err := d.scan(ctx)
	if err != nil {
		return err
	}
	if !d.stock.complete {
		d.addExpected(found)
	}
	var wrong []string
	for chunk := range slices.Chunk(slices.Sorted(maps.Keys(found)), doctorChunk) {
		pipe := d.db.Pipe(ctx)
		types := make([]*rdb.Reply[string], len(chunk))
		for i, key := range chunk {
			types[i] = rdb.Text(pipe, "TYPE", key)
		}
		if err := pipe.Run(); err != nil {
			return rdb.Failed("ask for types of keys", err)
		}
		for i, key := range chunk {
			at := found[key]
			switch got := types[i].Val(); got {
			case "none": // deleted meanwhile
			case keyTypes[at.kind]:
				d.stock.places = append(d.stock.places, at)
			default:
				wrong = append(wrong, fmt.Sprintf("%s (a %s, should be a %s)", key, got, keyTypes[at.kind]))
			}
		}
	}
	if len(wrong) > 0 {
		d.add(AreaMessages, "key types", LevelProblem, rdb.Some(wrong),
			"find out who wrote it, then move it away with redis-cli RENAME KEY OTHER; dispatchers create it again")
	} else {
		d.ok(AreaMessages, "key types", count(len(d.stock.places), "key")+", all of the right type")
	}
	return nil
}

// scan walks the keys of every master. If that is refused or takes too long, the stock is incomplete.
func (d *exam) scan(ctx context.Context) (map[string]place, error) {
	var mu sync.Mutex
	found := map[string]place{}
	var problem error
	walked, cut := 0, false
	err := d.db.EachMaster(ctx, func(ctx context.Context, master *rdb.Node) error {
		cursor := "0"
		for round := 1; ; round++ {
			page, err := rdb.Scan(master.With(ctx), "SCAN", cursor, "MATCH", d.cfg.Prefix+":*", "COUNT", doctorPage).Result()
			mu.Lock()
			walked++
			problem = cmp.Or(problem, err)
			for _, name := range page.Items {
				if at, ok := placeOf(d.keys, name); ok {
					found[name] = at
				}
			}
			cut = cut || err == nil && page.Next != "0" && round == mostScans
			mu.Unlock()
			if cursor = page.Next; err != nil || cursor == "0" || round == mostScans {
				return nil //nolint:nilerr // it is in problem
			}
		}
	})
	if err = cmp.Or(err, ctx.Err()); err != nil {
		return nil, rdb.Failed("list the masters", err)
	}
	d.stock.complete = problem == nil && !cut
	switch {
	case problem != nil:
		d.unknown(AreaMessages, "keys", rdb.Failed("scan for keys", problem))
	case cut:
		d.x.Findings = append(d.x.Findings, Finding{AreaMessages, "keys", LevelUnknown,
			fmt.Sprintf("this Redis has too many keys: the scan stopped after about %d keys of a master", mostScans*doctorPage),
			"expect more orphans and more messages in former partitions than the findings below say", true})
	}
	return found, nil
}

// addExpected adds the keys of a healthy system, because the scan did not list them all.
func (d *exam) addExpected(found map[string]place) {
	add := func(key string) {
		if at, ok := placeOf(d.keys, key); ok {
			found[key] = at
		}
	}
	for _, key := range []string{d.keys.Subscriptions(), d.keys.Revision(), d.keys.Written(), d.keys.Dispatchers()} {
		add(key)
	}
	for p := range d.db.Partitions() {
		for _, key := range []string{d.keys.Incoming(p), d.keys.Quarantine(p), d.keys.QuarantineSize(p), d.keys.Unrouted(p), d.keys.UnroutedSize(p), d.keys.Delayed(p), d.keys.DelayedBody(p)} {
			add(key)
		}
		for sub := range d.subs {
			if len(found) >= d.left {
				return
			}
			for _, key := range append(d.keys.Channels(p, []string{sub}), d.keys.Dead(p, sub)) {
				add(key)
			}
		}
	}
}

// examineRecover counts the messages in the recover lists, where producers park them.
func (d *exam) examineRecover(ctx context.Context) error {
	var lists []place
	for _, at := range d.stock.places {
		if at.kind == kindRecover {
			lists = append(lists, at)
		}
	}
	var waiting []string
	for chunk := range slices.Chunk(lists, doctorChunk) {
		pipe := d.db.Pipe(ctx)
		lengths := make([]*rdb.Reply[int64], len(chunk))
		for i, at := range chunk {
			lengths[i] = rdb.Int(pipe, "LLEN", at.key)
		}
		if err := pipe.Run(); err != nil && !rdb.IsWrongType(err) {
			return rdb.Failed("count parked messages", err)
		}
		for i, at := range chunk {
			if n := lengths[i].Val(); n > 0 {
				waiting = append(waiting, fmt.Sprintf("%s (%d)", at.key, n))
			}
		}
	}
	if len(waiting) > 0 {
		d.add(AreaMessages, "recover lists", LevelWarning, "messages that producers parked wait in "+rdb.Some(waiting),
			"look again in a few seconds, dispatchers move them; if they stay, see the dispatchers' logs")
	}
	return nil
}

// channel is the channel that a key belongs to.
func (at place) channel() medispatcher.Channel {
	return medispatcher.Channel{Partition: at.p, Subscription: at.sub}
}
