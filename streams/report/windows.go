package report

import (
	"bufio"
	"context"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/solate/medispatcher/streams/internal/rdb"
)

// Lengths counts the messages of subscriptions, in their channels and behind others of their keys, over all partitions, in the
// order of subs. It costs a fraction of ChannelStatus: only where a channel holds something may messages wait behind that.
func (r *Report) Lengths(ctx context.Context, subs []string) ([]int64, error) {
	sums, all := make([]int64, len(subs)), make([]int, len(subs))
	for i := range all {
		all[i] = i
	}
	for p := range r.db.Partitions() {
		for chunk := range slices.Chunk(all, rdb.SweepChunk) {
			holds, err := r.addSizes(ctx, "XLEN", func(sub string) string { return r.keys.Channel(p, sub) }, subs, chunk, sums)
			if err == nil && len(holds) > 0 {
				_, err = r.addSizes(ctx, "HLEN", func(sub string) string { return r.keys.Wait(p, sub) }, subs, holds, sums)
			}
			if err != nil {
				return nil, rdb.Failed("count the messages of channels", err)
			}
		}
	}
	return sums, nil
}

// addSizes adds the sizes of a key of some subscriptions to their sums, in one round trip. It returns those that have one.
func (r *Report) addSizes(ctx context.Context, command string, key func(sub string) string, subs []string, of []int, sums []int64) (have []int, err error) {
	pipe := r.db.Pipe(ctx)
	sizes := make([]*rdb.Reply[int64], len(of))
	for n, i := range of {
		sizes[n] = rdb.Int(pipe, command, key(subs[i]))
	}
	if err := pipe.Run(); err != nil && !rdb.IsWrongType(err) {
		return nil, err
	}
	for n, i := range of {
		if size := sizes[n].Val(); size > 0 {
			sums[i], have = sums[i]+size, append(have, i)
		}
	}
	return have, nil
}

// CountedWithin sums counts of subscriptions, such as "failed", over a window that ends now, in the
// order of subs. It adds buckets of a second for windows up to a minute, of a minute up to an hour,
// and of an hour above that. Of the oldest bucket it takes the share that lies within the window.
func (r *Report) CountedWithin(ctx context.Context, what string, window time.Duration, subs []string) ([]int64, error) {
	if len(subs) == 0 {
		return nil, nil
	}
	fields := make([]string, len(subs))
	for i, sub := range subs {
		fields[i] = what + ":" + sub
	}
	return r.countedWithin(ctx, window, fields)
}

// CountedSums is CountedWithin for counts that belong to no subscription, such as "quarantined", or
// "unroutable:", the sum over all topics.
func (r *Report) CountedSums(ctx context.Context, window time.Duration, what ...string) ([]int64, error) {
	return r.countedWithin(ctx, window, what)
}

func (r *Report) countedWithin(ctx context.Context, window time.Duration, fields []string) ([]int64, error) {
	now, err := r.db.SharedNow(ctx)
	if err != nil {
		return nil, err
	}
	buckets, share := windowBuckets(now, window)
	place := make(map[string]int, len(fields))
	for i, field := range fields {
		place[field] = i
	}
	sums, edges := make([]int64, len(fields)), make([]int64, len(fields))
	oldest := int64(len(buckets) - 1)
	err = r.eachCount(ctx, buckets, fields, func(b bucket, field string, n int64) {
		if b.age == oldest {
			edges[place[field]] += n
			return
		}
		sums[place[field]] += n
	})
	for i, n := range edges {
		sums[i] += int64(float64(n) * share)
	}
	return sums, err
}

// windowBuckets gives the buckets that a window touches, the newest first, and the share of the
// oldest one that lies within the window.
func windowBuckets(now time.Time, window time.Duration) (buckets []bucket, share float64) {
	kind, size := byte('h'), time.Hour
	switch {
	case window <= time.Minute:
		kind, size = 's', time.Second
	case window <= time.Hour:
		kind, size = 'm', time.Minute
	}
	newest, into := now.UnixNano()/int64(size), time.Duration(now.UnixNano()%int64(size))
	rest := max(0, window-into) // the part of the window before the current bucket
	edge := int64(rest/size) + 1
	for age := range edge + 1 {
		buckets = append(buckets, bucket{kind, newest - age, age})
	}
	return buckets, float64(rest%size) / float64(size)
}

// Memory is the memory that Redis uses and its maxmemory, in bytes; of a cluster, those of the
// fullest master. limit is 0 if maxmemory is not set.
func (r *Report) Memory(ctx context.Context) (used, limit int64, err error) {
	var mu sync.Mutex
	err = r.db.EachMaster(ctx, func(ctx context.Context, master *rdb.Node) error {
		info, err := rdb.Text(master.With(ctx), "INFO", "memory").Result()
		if err != nil {
			return rdb.Failed("read the memory of Redis", err)
		}
		u, l := infoNumber(info, "used_memory"), infoNumber(info, "maxmemory")
		mu.Lock()
		defer mu.Unlock()
		if !r.db.IsCluster() || l > 0 && (limit == 0 || float64(u)/float64(l) > float64(used)/float64(limit)) {
			used, limit = u, l
		}
		return nil
	})
	return used, limit, err
}

// infoNumber finds a number in the answer of INFO; 0 if it is missing.
func infoNumber(info, name string) int64 {
	for lines := bufio.NewScanner(strings.NewReader(info)); lines.Scan(); {
		if value, ok := strings.CutPrefix(lines.Text(), name+":"); ok {
			n, _ := strconv.ParseInt(value, 10, 64)
			return n
		}
	}
	return 0
}
