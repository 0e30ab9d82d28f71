package doctor

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/streams"
	"github.com/solate/medispatcher/streams/internal/rdb"
	"github.com/solate/medispatcher/streams/report"
)

// examineUnowned finds entries that their group has read but no consumer owns.
func (d *exam) examineUnowned(ctx context.Context) error {
	var n int64
	var in []string
	look := func(c medispatcher.Channel, name string, entries int64) error {
		found, err := d.unownedIn(ctx, c, entries)
		if n += found; found > 0 {
			in = append(in, name)
		}
		return err
	}
	for _, h := range d.heads {
		if h.within && h.length > 0 && !h.noGroup {
			if err := look(medispatcher.Channel{Partition: h.p}, inPartition(kindIncoming, h.p), h.length); err != nil {
				return err
			}
		}
	}
	units := slices.Clone(d.units)
	slices.SortStableFunc(units, func(a, b *unit) int { return cmp.Compare(a.pending, b.pending) })
	for _, u := range units {
		if u.length > 0 && !u.noGroup && d.served(u) {
			if err := look(medispatcher.Channel{Partition: u.p, Subscription: u.sub}, u.String(), u.length); err != nil {
				return err
			}
		}
	}
	if n > 0 {
		d.note("unowned", LevelProblem, count(n, "message")+" that no dispatcher owns, and so stuck: "+rdb.Some(in),
			"living dispatchers give them back within a minute; if none runs, run amender; somebody typed XACK or XGROUP by hand")
	} else {
		d.note("unowned", LevelOK, "every message that was read has an owner", "")
	}
	return nil
}

// unownedIn counts them in one stream. It finds what healing would find, but changes nothing.
func (d *exam) unownedIn(ctx context.Context, c medispatcher.Channel, entries int64) (found int64, err error) {
	done := 0
	for place := "0-0"; place != ""; done += streams.UnownedLook {
		if d.take(streams.UnownedLook, done) == 0 {
			d.skipped += max(0, int(entries)-done)
			return found, nil
		}
		n, next, err := d.store.CountUnowned(ctx, c, place)
		found += int64(n)
		if rdb.IsNoStream(err) || rdb.IsWrongType(err) {
			return found, nil // deleted meanwhile, or a finding about key types says it
		}
		if err != nil {
			return found, rdb.Failed("look for messages that nobody owns", err)
		}
		place = next
	}
	return found, nil
}

// examineVanished reports the messages that dispatchers found missing within the last day.
func (d *exam) examineVanished(ctx context.Context) error {
	var fields []string
	for p := range d.db.Partitions() {
		err := rdb.EachField(d.db.With(ctx), d.keys.StatsTotal(p), "vanished:?*", doctorPage, func(name, _ string) {
			if !slices.Contains(fields, name) {
				fields = append(fields, name)
			}
		})
		if err != nil && !rdb.IsWrongType(err) {
			return rdb.Failed("count vanished messages", err)
		}
	}
	windows, err := report.New(d.store).Windows(ctx, fields)
	if err != nil {
		return err
	}
	var sum int64
	var from []string
	for field, w := range windows {
		if sum += w.Day; w.Day > 0 {
			from = append(from, fmt.Sprintf("%s (%d)", strings.TrimPrefix(field, "vanished:"), w.Day))
		}
	}
	if sum == 0 {
		d.ok(AreaMessages, "vanished", "dispatchers found no message missing within a day")
		return nil
	}
	d.add(AreaMessages, "vanished", LevelWarning, count(sum, "message")+" lost within a day, deleted from Redis by hand: "+rdb.Some(from),
		"find out who typed XDEL, XTRIM or DEL, or which producer trims (XADD with MAXLEN); the dispatchers' logs name the entries")
	return nil
}
