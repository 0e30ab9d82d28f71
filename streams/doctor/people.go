package doctor

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/streams"
	"github.com/solate/medispatcher/streams/internal/rdb"
)

// examineDispatchers reads the heartbeats, the latest first.
func (d *exam) examineDispatchers(ctx context.Context) error {
	if _, err := d.store.LearnPartitions(ctx); err != nil {
		return err
	}
	beats, err := rdb.Scores(d.db.With(ctx), "ZREVRANGE", d.keys.Dispatchers(), 0, doctorPage-1, "WITHSCORES").Result()
	if err != nil {
		return rdb.Failed("list dispatchers", err)
	}
	now, err := d.db.SharedNow(ctx)
	if err != nil {
		return err
	}
	now = d.db.Shown(now)
	for chunk := range slices.Chunk(beats, doctorChunk) {
		pipe := d.db.Pipe(ctx)
		infos := make([]*rdb.Reply[string], len(chunk))
		for i, b := range chunk {
			id := b.Member
			infos[i] = rdb.Text(pipe, "GET", d.keys.Dispatcher(id))
		}
		_ = pipe.Run() // each command has its own error
		for i, b := range chunk {
			if err := rdb.Failed("read a dispatcher", infos[i].Err()); err != nil && !rdb.IsWrongType(err) {
				return err
			}
			id := b.Member
			p := medispatcher.Dispatcher{DeadAfter: 10 * time.Second}
			_ = json.Unmarshal([]byte(infos[i].Val()), &p) // without its info, the default applies, as for the other dispatchers
			p.ID, p.Heartbeat = id, d.db.Shown(time.UnixMilli(int64(b.Score)))
			p.Alive = now.Sub(p.Heartbeat) < p.DeadAfter
			d.people = append(d.people, p)
			if p.Alive {
				d.alive[id] = true
			}
		}
	}
	d.heard = true
	d.judgeHeartbeats(now)
	d.judgeVersions()
	d.judgeLayouts()
	d.judgeLogs()
	d.judgeDoorbells()
	d.judgeSpreads()
	return nil
}

func (d *exam) judgeHeartbeats(now time.Time) {
	var dead, late, ahead, early []string
	for _, p := range d.people {
		age := now.Sub(p.Heartbeat)
		switch {
		case !p.Alive:
			dead = append(dead, fmt.Sprintf("%s (silent for %s)", p.ID, medispatcher.RoughDuration(age)))
		case age > p.DeadAfter/2:
			late = append(late, fmt.Sprintf("%s (silent for %s, counts as dead after %s)", p.ID, medispatcher.RoughDuration(age), p.DeadAfter))
		case age < -skewWarn:
			early = append(early, p.ID)
		}
		// Started is by its own clock, Heartbeat by that of Redis. A start after a heartbeat is impossible.
		if by := p.Started.Sub(p.Heartbeat); by > skewWarn {
			ahead = append(ahead, fmt.Sprintf("%s (at least %s)", p.ID, medispatcher.RoughDuration(by)))
		}
	}
	if len(dead) > 0 {
		d.add(AreaDispatchers, "dead", LevelWarning, count(len(dead), "dispatcher")+" died without leaving: "+rdb.Some(dead),
			"living dispatchers give back within seconds what they owned; if none runs, run amender")
	}
	if len(late) > 0 {
		d.add(AreaDispatchers, "heartbeats", LevelWarning, "overdue: "+rdb.Some(late),
			"see whether that machine or Redis is overloaded; if it is taken for dead, its messages in flight are delivered again, and none is lost")
	}
	if len(early) > 0 {
		d.add(AreaDispatchers, "heartbeats", LevelWarning, "in the future: "+rdb.Some(early),
			"look again in a few seconds: the clock of Redis may have been set just now, and dispatchers correct for that")
	}
	if by := d.db.ClockAhead(); by.Abs() > skewWarn {
		way := map[bool]string{true: "back", false: "ahead"}[by > 0]
		d.ok(AreaDispatchers, "clock of Redis", "was set "+way+" by "+medispatcher.RoughDuration(by.Abs())+" in all; dispatchers corrected for it")
	}
	if len(ahead) > 0 {
		d.add(AreaDispatchers, "clocks", LevelWarning, "ahead of the clock of Redis: "+rdb.Some(ahead),
			"run NTP on that machine: webhook-timestamp is by the dispatcher's clock")
	}
}

func (d *exam) judgeVersions() {
	running := map[string]int{}
	for _, p := range d.people {
		if p.Alive {
			running[p.Version]++
		}
	}
	if len(running) < 2 {
		return
	}
	var list []string
	for _, v := range slices.Sorted(maps.Keys(running)) {
		list = append(list, fmt.Sprintf("%s (%d)", v, running[v]))
	}
	d.add(AreaDispatchers, "versions", LevelWarning, "they differ: "+strings.Join(list, ", "), "complete the roll-out; if none is under way, find the old dispatchers with medispatcher status")
}

// judgeLayouts finds dispatchers that cannot read what newer ones write while they are alone.
func (d *exam) judgeLayouts() {
	var old []string
	newer := false
	for i := range d.people {
		switch p := &d.people[i]; {
		case !p.Alive:
		case streams.ReadsOnlyFirst(p):
			old = append(old, p.ID)
		default:
			newer = true
		}
	}
	if newer && len(old) > 0 {
		d.add(AreaDispatchers, "copies", LevelWarning, "of an earlier version, cannot read the newest copies: "+rdb.Some(old),
			"complete the upgrade; if one of these started when only newer dispatchers ran, stop it now: it delivers the copies that they had written as empty messages")
	}
}

// judgeLogs finds dispatchers that cannot write their logs.
func (d *exam) judgeLogs() {
	var list []string
	for _, p := range d.people {
		if p.Alive && p.LogProblem != "" {
			list = append(list, fmt.Sprintf("%s (%s)", p.ID, p.LogProblem))
		}
	}
	if len(list) > 0 {
		d.add(AreaDispatchers, "logs", LevelProblem, "cannot be written, lines are lost: "+rdb.Some(list),
			"repair the disk, or the program that reads the log; deliveries go on, and no restart is needed")
	}
}

// judgeSpreads finds dispatchers that disagree about MEDIS_PARTITIONS, and those that do not work on all partitions.
func (d *exam) judgeSpreads() {
	var few []string
	for _, p := range d.people {
		if p.Alive && p.Partitions > 0 && p.Partitions < d.db.Partitions() {
			few = append(few, p.ID)
		}
	}
	if len(few) > 0 {
		d.add(AreaDispatchers, "partitions", LevelWarning, fmt.Sprintf("work on fewer than the %d partitions that there are: %s", d.db.Partitions(), rdb.Some(few)),
			"start them again")
	}
	spreads := medispatcher.Spreads(d.people)
	if _, agreed := spreads[d.store.Spread()]; len(spreads) == 0 || len(spreads) == 1 && agreed {
		return
	}
	var list []string
	for _, n := range slices.Sorted(maps.Keys(spreads)) {
		list = append(list, fmt.Sprintf("%d in %s", n, spreads[n]))
	}
	d.add(AreaDispatchers, "MEDIS_PARTITIONS", LevelWarning, fmt.Sprintf("is %d here, and %s", d.store.Spread(), strings.Join(list, ", ")),
		"set the same everywhere, in producers as well: messages of one key go to two partitions and lose their order, and an id is taken twice")
}

// judgeDoorbells finds dispatchers whose user may not listen to a pub/sub channel of their own.
func (d *exam) judgeDoorbells() {
	var list []string
	for _, p := range d.people {
		if p.Alive && p.Doorbell == d.keys.Control() {
			list = append(list, p.ID)
		}
	}
	if len(list) > 0 {
		d.add(AreaDispatchers, "doorbells", LevelWarning, "share one pub/sub channel, so every ring wakes all of them: "+rdb.Some(list),
			"let their user listen to "+d.keys.Control()+"*: run the ACL SETUSER line in docs/OPERATIONS.md, What Redis has to be, then restart them")
	}
}

// examineRunning runs last, because it needs to know whether messages wait.
func (d *exam) examineRunning(ctx context.Context) error {
	if !d.heard {
		return nil // there is a finding already
	}
	if len(d.alive) == 0 {
		others, err := d.otherPrefixes(ctx)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err == nil && len(others) > 0 { // without the right to SCAN there is a finding already
			d.add(AreaDispatchers, "running", LevelWarning, fmt.Sprintf("none with MEDIS_KEY_PREFIX=%s, but some with %s", d.cfg.Prefix, rdb.Some(others)),
				"give this command the MEDIS_KEY_PREFIX of the dispatchers that you mean; if those are others, start one with "+d.cfg.Prefix+": medispatcher serve")
			return nil
		}
	}
	var waiting int64
	for _, u := range d.units {
		if d.served(u) {
			waiting += u.length
		}
	}
	for _, h := range d.heads {
		waiting += h.length
	}
	switch alive := len(d.alive); {
	case alive > 0:
		d.ok(AreaDispatchers, "running", count(alive, "dispatcher")+" alive")
	case d.blind:
		d.add(AreaDispatchers, "running", LevelUnknown, "none; it could not be checked whether messages wait", "")
	case waiting > 0:
		d.add(AreaDispatchers, "running", LevelWarning, "none, but messages wait: "+count(waiting, "message"), "start one: medispatcher serve")
	default:
		d.ok(AreaDispatchers, "running", "none, and no message waits")
	}
	return nil
}

// otherPrefixes are those with which dispatchers use this Redis, too.
func (d *exam) otherPrefixes(ctx context.Context) ([]string, error) {
	var mu sync.Mutex
	found := map[string]bool{}
	suffix := strings.TrimPrefix(d.keys.Dispatchers(), d.cfg.Prefix)
	err := d.db.EachMaster(ctx, func(ctx context.Context, master *rdb.Node) error {
		cursor := "0"
		for range mostScans {
			page, err := rdb.Scan(master.With(ctx), "SCAN", cursor, "MATCH", "*"+suffix, "COUNT", doctorPage).Result()
			if err != nil {
				return err
			}
			mu.Lock()
			for _, name := range page.Items {
				if prefix := strings.TrimSuffix(name, suffix); prefix != d.cfg.Prefix {
					found[prefix] = true
				}
			}
			mu.Unlock()
			if cursor = page.Next; cursor == "0" {
				break
			}
		}
		return nil
	})
	return slices.Sorted(maps.Keys(found)), err
}
