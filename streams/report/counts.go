package report

import (
	"context"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/streams/internal/rdb"
)

// statsChunk is the most fields asked for in one command.
const statsChunk = 1000

// Windows sums counts over all partitions. For each field, such as "sent:billing", it gives the
// count of the last second, 10 s, minute, hour and day, and the total. The second is the last full
// one. The hour includes the current minute, and the day the current hour.
func (r *Report) Windows(ctx context.Context, fields []string) (map[string]medispatcher.Windows, error) {
	sums := make(map[string]medispatcher.Windows, len(fields))
	now, err := r.unixTime(ctx)
	if err != nil {
		return nil, err
	}
	var buckets []bucket
	for age := range int64(60) {
		buckets = append(buckets, bucket{'s', now - 1 - age, age}, bucket{'m', now/60 - age, age})
	}
	for age := range int64(24) {
		buckets = append(buckets, bucket{'h', now/3600 - age, age})
	}
	buckets = append(buckets, bucket{kind: 't'})
	err = r.eachCount(ctx, buckets, fields, func(b bucket, field string, n int64) {
		w := sums[field]
		switch b.kind {
		case 's':
			w.Minute += n
			if b.age < 10 {
				w.TenSeconds += n
			}
			if b.age == 0 {
				w.Second += n
			}
		case 'm':
			w.Hour += n
		case 'h':
			w.Day += n
		case 't':
			w.Total += n
		}
		sums[field] = w
	})
	return sums, err
}

// Series gives the counts of each of the last 60 full seconds ('s'), 60 minutes ('m') or 24 hours
// ('h'), over all partitions, the oldest first. The last minute or hour is the current one. at is the
// unix time at which the last bucket begins, by the clock of Redis. The buckets are by the shared
// clock, which never repeats a second.
func (r *Report) Series(ctx context.Context, kind byte, fields []string) (series map[string][]int64, at int64, err error) {
	now, err := r.unixTime(ctx)
	if err != nil {
		return nil, 0, err
	}
	n, size, last := int64(60), int64(1), now-1
	switch kind {
	case 'm':
		size, last = 60, now/60
	case 'h':
		n, size, last = 24, 3600, now/3600
	}
	series = make(map[string][]int64, len(fields))
	for _, field := range fields {
		series[field] = make([]int64, n)
	}
	var buckets []bucket
	for age := range n {
		buckets = append(buckets, bucket{kind, last - age, age})
	}
	err = r.eachCount(ctx, buckets, fields, func(b bucket, field string, v int64) { series[field][n-1-b.age] += v })
	return series, last*size - int64(r.db.ClockAhead()/time.Second), err
}

func (r *Report) unixTime(ctx context.Context) (int64, error) {
	now, err := r.db.SharedNow(ctx)
	return now.Unix(), err
}

// bucket is one count hash: of one second, minute or hour, or with kind 't' of all time.
type bucket struct {
	kind byte
	at   int64 // unix time in units of kind
	age  int64 // 0 for the newest bucket
}

func countsKey(k rdb.Keys, p int, b bucket) string {
	if b.kind == 't' {
		return k.StatsTotal(p)
	}
	return k.Stats(p, b.kind, b.at)
}

// eachCount calls do for every count that is not zero. A quiet system lacks most buckets, so
// it first asks which exist.
func (r *Report) eachCount(ctx context.Context, buckets []bucket, fields []string, do func(b bucket, field string, n int64)) error {
	if quiet, err := r.quiet(ctx, buckets); err != nil || quiet {
		return err
	}
	for p := range r.db.Partitions() {
		var found []counted
		for try := 1; ; try++ {
			list, whole, err := r.bucketCounts(ctx, p, buckets, fields)
			if err != nil {
				return rdb.Failed("read counts", err)
			}
			if whole || try == countTries {
				found = list
				break
			}
		}
		for _, c := range found {
			do(c.bucket, c.field, c.n)
		}
	}
	return nil
}

// countTries bounds how often counts are read again because they were folded meanwhile, which happens once a second.
const countTries = 8

// counted is a count that is not zero.
type counted struct {
	bucket bucket
	field  string
	n      int64
}

// bucketCounts reads the counts of a partition, with those that are not yet folded into their buckets. They are not whole if some were folded
// meanwhile.
func (r *Report) bucketCounts(ctx context.Context, p int, buckets []bucket, fields []string) (found []counted, whole bool, err error) {
	now := r.keys.StatsNow(p)
	unfolded := func(pipe *rdb.Pipe) *rdb.Reply[[]any] { return rdb.List(pipe, "HMGET", now, "~at", "~step") }
	pipe := r.db.Pipe(ctx)
	before := unfolded(pipe)
	exist := make([]*rdb.Reply[int64], len(buckets))
	for i, b := range buckets {
		exist[i] = rdb.Int(pipe, "EXISTS", countsKey(r.keys, p, b))
	}
	if err := pipe.Run(); err != nil {
		return nil, false, err
	}
	at, open := unfoldedSecond(before)
	note := func(b bucket, names []string, values []any) {
		for f, v := range values {
			text, _ := v.(string)
			if n, _ := strconv.ParseInt(text, 10, 64); n != 0 {
				found = append(found, counted{b, names[f], n})
			}
		}
	}
	whole = true
	for chunk := range slices.Chunk(fields, statsChunk) {
		pipe := r.db.Pipe(ctx)
		var rest *rdb.Reply[[]any]
		if open {
			rest = rdb.List(pipe, rdb.Cmd("HMGET", now, chunk...)...)
		}
		cmds := make([]*rdb.Reply[[]any], len(buckets))
		for i, b := range buckets {
			if exist[i].Val() > 0 {
				cmds[i] = rdb.List(pipe, rdb.Cmd("HMGET", countsKey(r.keys, p, b), chunk...)...)
			}
		}
		after := unfolded(pipe)
		if err := pipe.Run(); err != nil {
			return nil, false, err
		}
		whole = whole && slices.Equal(before.Val(), after.Val())
		for i, b := range buckets {
			if cmds[i] != nil {
				note(b, chunk, cmds[i].Val())
			}
			if open && b.holds(at) {
				note(b, chunk, rest.Val())
			}
		}
	}
	return found, whole, nil
}

// unfoldedSecond is the second of the counts that are not folded; open is false if there are none.
func unfoldedSecond(state *rdb.Reply[[]any]) (at int64, open bool) {
	if len(state.Val()) == 0 {
		return 0, false
	}
	text, _ := state.Val()[0].(string)
	at, err := strconv.ParseInt(text, 10, 64)
	return at, err == nil
}

// holds reports whether a second belongs to the bucket. That of all time holds what is not folded already.
func (b bucket) holds(second int64) bool {
	switch b.kind {
	case 's':
		return b.at == second
	case 'm':
		return b.at == second/60
	case 'h':
		return b.at == second/3600
	}
	return false
}

// quietKeys bounds the keys of one command.
const quietKeys = 1000

// quiet reports whether no partition has any of some buckets. On one Redis that is one command.
func (r *Report) quiet(ctx context.Context, buckets []bucket) (bool, error) {
	pipe := r.db.Pipe(ctx)
	var asked []*rdb.Reply[int64]
	var keys []string
	ask := func() {
		for chunk := range slices.Chunk(keys, quietKeys) {
			asked = append(asked, rdb.Int(pipe, rdb.Cmd("EXISTS", chunk[0], chunk[1:]...)...))
		}
		keys = nil
	}
	for p := range r.db.Partitions() {
		keys = append(keys, r.keys.StatsNow(p))
		for _, b := range buckets {
			keys = append(keys, countsKey(r.keys, p, b))
		}
		if r.db.IsCluster() { // their slots may lie on several nodes
			ask()
		}
	}
	ask()
	if err := pipe.Run(); err != nil {
		return false, rdb.Failed("read counts", err)
	}
	return !slices.ContainsFunc(asked, func(n *rdb.Reply[int64]) bool { return n.Val() > 0 }), nil
}

// Counts returns the totals of everything counted so far, "<what>:<name>" → n, over all partitions.
func (r *Report) Counts(ctx context.Context) (map[string]int64, error) {
	sums := map[string]int64{}
	for p := range r.db.Partitions() {
		h, err := rdb.Map(r.db.With(ctx), "HGETALL", r.keys.StatsTotal(p)).Result()
		if err != nil {
			return nil, rdb.Failed("read counts", err)
		}
		for what, n := range h {
			if !strings.HasSuffix(what, ":") && !strings.HasPrefix(what, "~") { // leave out the sums, and internal counters
				v, _ := strconv.ParseInt(n, 10, 64)
				sums[what] += v
			}
		}
	}
	return sums, nil
}

// maxTopics bounds the list of topics, because producers may invent any number.
const maxTopics = 1000

// Topics lists the topics of received messages, sorted. more says that there are others.
func (r *Report) Topics(ctx context.Context) (topics []string, more bool, err error) {
	known := map[string]bool{}
	for p := range r.db.Partitions() {
		err := rdb.EachField(r.db.With(ctx), r.keys.StatsTotal(p), "received:?*", 1000, func(name, _ string) {
			known[strings.TrimPrefix(name, "received:")] = true
		})
		if err != nil {
			return nil, false, rdb.Failed("list topics", err)
		}
	}
	topics = slices.Sorted(maps.Keys(known))
	return topics[:min(len(topics), maxTopics)], len(topics) > maxTopics, nil
}
