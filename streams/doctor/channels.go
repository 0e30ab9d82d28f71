package doctor

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/streams/internal/rdb"
)

// unit is one channel of one partition: its four keys and what they hold.
type unit struct {
	p       int
	sub     string
	within  bool // its partition is below MEDIS_PARTITIONS
	noGroup bool
	owners  map[string]int64 // pending entries of each consumer
	length, pending, retrying,
	failures, dead int64
}

// served reports whether dispatchers work on the channel.
func (d *exam) served(u *unit) bool { return u.within && (d.subs[u.sub] || !d.known) }

func (u *unit) empty() bool { return u.length+u.dead == 0 }

// held says in words how much channels hold: "2 messages and 1 dead letter".
func held(messages, dead int64) string {
	switch {
	case dead == 0:
		return count(messages, "message")
	case messages == 0:
		return count(dead, "dead letter")
	}
	return count(messages, "message") + " and " + count(dead, "dead letter")
}

func (u *unit) String() string { return inPartition(u.sub, u.p) }

func inPartition(what string, p int) string {
	if p == 0 {
		return what
	}
	return fmt.Sprintf("%s{%d}", what, p)
}

// examineChannels counts the contents of every channel that has a key in Redis.
func (d *exam) examineChannels(ctx context.Context) error {
	units := map[medispatcher.Channel]*unit{}
	for _, at := range d.stock.places {
		switch at.kind {
		case kindChannel, kindRetry, kindFailures, kindDead:
			units[at.channel()] = &unit{p: at.p, sub: at.sub, within: at.p < d.db.Partitions()}
		}
	}
	for _, u := range units {
		d.units = append(d.units, u)
	}
	slices.SortFunc(d.units, func(a, b *unit) int { return cmp.Or(strings.Compare(a.sub, b.sub), cmp.Compare(a.p, b.p)) })
	for chunk := range slices.Chunk(d.units, doctorChunk/5) {
		if err := d.countUnits(ctx, chunk); err != nil {
			return err
		}
	}
	d.judgePartitions()
	d.judgeOrphans()
	d.judgeOwners()
	if err := d.judgeActive(ctx); err != nil {
		return err
	}
	if err := d.judgeGroups(ctx); err != nil {
		return err
	}
	return d.judgeDeleted(ctx)
}

func (d *exam) countUnits(ctx context.Context, chunk []*unit) error {
	pipe := d.db.Pipe(ctx)
	pending := make([]*rdb.Reply[rdb.Owners], len(chunk))
	counts := make([][4]*rdb.Reply[int64], len(chunk))
	for i, u := range chunk {
		ch := d.keys.Channel(u.p, u.sub)
		pending[i] = rdb.OwnersOf(pipe, ch, rdb.GroupPush)
		counts[i] = [4]*rdb.Reply[int64]{
			rdb.Int(pipe, "XLEN", ch), rdb.Int(pipe, "ZCARD", d.keys.Retry(u.p, u.sub)),
			rdb.Int(pipe, "HLEN", d.keys.Failures(u.p, u.sub)), rdb.Int(pipe, "XLEN", d.keys.Dead(u.p, u.sub)),
		}
	}
	_ = pipe.Run() // each command has its own error
	for i, u := range chunk {
		for n, into := range []*int64{&u.length, &u.retrying, &u.failures, &u.dead} {
			if err := counts[i][n].Err(); err != nil && !rdb.IsWrongType(err) {
				return rdb.Failed("count "+u.sub, err)
			}
			*into = counts[i][n].Val()
		}
		sum, err := pending[i].Result()
		switch {
		case rdb.IsNoStream(err):
			u.noGroup = true
		case err != nil && !rdb.IsWrongType(err):
			return rdb.Failed("list pending entries of "+u.sub, err)
		case err == nil:
			u.pending, u.owners = sum.Count, sum.Consumers
		}
	}
	return nil
}

// judgePartitions finds messages in partitions that nobody reads since somebody lowered MEDIS_PARTITIONS.
func (d *exam) judgePartitions() {
	highest, stranded, dead := -1, int64(0), int64(0)
	for _, u := range d.units {
		if !u.within && !u.empty() {
			highest = max(highest, u.p)
			stranded, dead = stranded+u.length, dead+u.dead
		}
	}
	for _, h := range d.heads {
		if n := h.length + h.delayed; !h.within && n > 0 {
			highest, stranded = max(highest, h.p), stranded+n
		}
	}
	if highest >= 0 {
		d.add(AreaMessages, "partitions", LevelProblem,
			fmt.Sprintf("nobody reads partition %d and above (MEDIS_PARTITIONS=%d), which hold %s", d.db.Partitions(), d.db.Partitions(), held(stranded, dead)),
			fmt.Sprintf("set MEDIS_PARTITIONS to %d or more in every dispatcher until they are delivered", highest+1))
	}
}

// judgeOrphans finds channels without a subscription.
func (d *exam) judgeOrphans() {
	if !d.known {
		return // without the list of subscriptions, every channel would look like an orphan
	}
	var names []string
	var messages, dead int64
	rest := 0
	seen := map[string]bool{}
	for _, u := range d.units {
		switch {
		case d.subs[u.sub] || !u.within:
		case u.empty():
			rest++
		default:
			messages, dead = messages+u.length, dead+u.dead
			if !seen[u.sub] {
				seen[u.sub] = true
				names = append(names, u.sub)
			}
		}
	}
	switch {
	case len(names) > 0:
		d.add(AreaMessages, "orphans", LevelWarning, fmt.Sprintf("%s without a subscription: %s", held(messages, dead), rdb.Some(names)),
			"to deliver them, put the subscription again: medispatcher sub put ID …; to delete them: medispatcher sub rm ID --purge")
	case rest > 0:
		d.ok(AreaMessages, "orphans", "none; "+count(rest, "empty channel")+" of removed subscriptions")
	default:
		d.ok(AreaMessages, "orphans", "none: every channel has its subscription")
	}
}

// judgeActive finds channels that hold something and are missing from the active sets.
func (d *exam) judgeActive(ctx context.Context) error {
	sets, err := d.store.MayHold(ctx)
	if err != nil {
		return err
	}
	var missing []string
	for _, u := range d.units {
		if !d.served(u) || sets[u.p] == nil || u.empty() && u.pending == 0 {
			continue
		}
		if _, there := slices.BinarySearch(sets[u.p], u.sub); !there {
			missing = append(missing, u.String())
		}
	}
	if len(missing) == 0 {
		d.ok(AreaMessages, "active", "every channel that holds something is in the active set")
		return nil
	}
	d.add(AreaMessages, "active", LevelWarning, fmt.Sprintf("%s with messages missing from the active set: %s", count(len(missing), "channel"), rdb.Some(missing)),
		"a command typed by hand or a lost write took them out; restart a dispatcher: it looks at every channel when it starts")
	return nil
}

// judgeOwners finds messages whose owner is not a living dispatcher.
func (d *exam) judgeOwners() {
	if !d.heard {
		return // without the heartbeats, every owner would look dead
	}
	var lost int64
	var owners, where []string
	note := func(owner string, n int64, name string) {
		lost += n
		if !slices.Contains(owners, owner) {
			owners = append(owners, owner)
		}
		if !slices.Contains(where, name) {
			where = append(where, name)
		}
	}
	for _, u := range d.units {
		for owner, n := range u.owners {
			if n > 0 && owner != rdb.Buried && !d.alive[owner] && d.served(u) {
				note(owner, n, u.sub)
			}
		}
	}
	for _, h := range d.heads {
		for owner, n := range h.owners {
			if n > 0 && !d.alive[owner] && h.within {
				note(owner, n, kindIncoming)
			}
		}
	}
	if lost == 0 {
		d.ok(AreaMessages, "owners", "every message in flight belongs to a living dispatcher")
		return
	}
	d.add(AreaMessages, "owners", LevelWarning,
		fmt.Sprintf("dispatchers that are gone (%s) still own %s, in %s", rdb.Some(owners), count(lost, "message"), rdb.Some(where)),
		"living dispatchers give them back within a minute; if none runs, run amender")
}
