package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/bench/internal/proc"
)

var cost = row{"cost", "CPU of a dispatcher and of Redis, by the size of a body and the number of subscribers", measureCost}

// costCases are measured one after the other, each on an empty Redis.
var costCases = []struct {
	load
	floor bool // compare Redis with the least that it could do
}{
	{load{body: 256, fanOut: 1}, false},
	{load{body: 256, fanOut: 3}, false},
	{load{body: 256, fanOut: 10}, false},
	{load{body: 256, fanOut: 100}, false},
	{load{body: 4 << 10, fanOut: 3}, false},
	{load{body: 64 << 10, fanOut: 1}, false},
	{load{body: 64 << 10, fanOut: 3}, true},
	{load{body: 1 << 20, fanOut: 1}, false},
	{load{body: 1 << 20, fanOut: 3}, true},
}

const (
	costBytes      = 192 << 20 // of all copies of a case, at most
	costDeliveries = 30_000    // of a case, at most
	costRounds     = 3         // the cheapest counts: what else the machine does makes the others dearer
	floorGoal      = 1.3
)

func measureCost(ctx context.Context, s *site) ([]figure, error) {
	var figures []figure
	for _, c := range costCases {
		spent, floor := spending{}, 0.0
		for range costRounds {
			got, err := s.spend(ctx, c.load)
			if err != nil {
				return nil, err
			}
			spent = spent.cheaper(got)
			if !c.floor {
				continue
			}
			least, err := s.floor(ctx, c.load)
			if err != nil {
				return nil, fmt.Errorf("the least that Redis could do: %w", err)
			}
			if floor == 0 || least < floor {
				floor = least
			}
		}
		name := fmt.Sprintf("%s to %d: ", size(c.body), c.fanOut)
		figures = append(figures,
			figure{what: name + "dispatcher", value: spent.dispatcher, unit: "µs a delivery"},
			figure{what: name + "Redis", value: spent.redis, unit: "µs a delivery"},
			figure{what: name + "the log of Redis", value: spent.log, unit: "bytes a delivery"})
		if c.floor {
			figures = append(figures,
				figure{what: name + "the least that Redis could do", value: floor, unit: "µs a delivery"},
				figure{what: name + "Redis, of that", value: spent.redis / floor, most: floorGoal})
		}
	}
	return figures, nil
}

var spread = row{"spread", "CPU for a delivery, by the number of dispatchers, partitions and masters", measureSpread}

// spreadCases deliver messages of 256 bytes to three subscribers.
var spreadCases = []load{
	{},
	{dispatchers: 2},
	{dispatchers: 4},
	{dispatchers: 8},
	{partitions: 3},
	{partitions: 16},
	{partitions: 64},
	{masters: 3, partitions: 3},
	{masters: 3, partitions: 16},
	{masters: 3, partitions: 16, dispatchers: 4},
}

func measureSpread(ctx context.Context, s *site) ([]figure, error) {
	var figures []figure
	for _, c := range spreadCases {
		c.body, c.fanOut = 256, 3
		var spent spending
		for range costRounds {
			got, err := s.spend(ctx, c)
			if err != nil {
				return nil, err
			}
			spent = spent.cheaper(got)
		}
		name := fmt.Sprintf("dispatchers %d, partitions %d, masters %d: ", max(c.dispatchers, 1), max(c.partitions, 1), max(c.masters, 1))
		figures = append(figures,
			figure{what: name + "dispatchers", value: spent.dispatcher, unit: "µs a delivery"},
			figure{what: name + "Redis", value: spent.redis, unit: "µs a delivery"})
	}
	return figures, nil
}

func size(bytes int) string {
	switch {
	case bytes >= 1<<20:
		return fmt.Sprintf("%d MiB", bytes>>20)
	case bytes >= 1<<10:
		return fmt.Sprintf("%d KiB", bytes>>10)
	}
	return fmt.Sprintf("%d B", bytes)
}

// load is what is delivered, and by whom. 0 dispatchers, partitions or masters are one.
type load struct {
	body, fanOut                     int
	dispatchers, partitions, masters int
}

// messages is how many are worth measuring.
func (l load) messages() int { return min(costDeliveries/l.fanOut, costBytes/l.body/l.fanOut) }

// spending is what one delivery costs, its share of its message included.
type spending struct {
	dispatcher, redis float64 // µs of CPU
	log               float64 // bytes
}

func (s spending) cheaper(than spending) spending {
	if s.redis == 0 {
		return than
	}
	return spending{min(s.dispatcher, than.dispatcher), min(s.redis, than.redis), min(s.log, than.log)}
}

// spend publishes messages that every subscription wants, and waits until all are delivered.
func (s *site) spend(ctx context.Context, l load) (spent spending, err error) {
	defer func() {
		s.stop()
		s.running = nil
		if err != nil {
			err = fmt.Errorf("%+v: %w", l, err)
		}
	}()
	partitions := max(l.partitions, 1)
	if l.masters > 1 {
		err = s.startCluster(ctx, l.masters, noRewrite...)
	} else {
		err = s.startRedis(ctx, noRewrite...)
	}
	if err != nil {
		return spent, err
	}
	r, err := newReceiver(ctx)
	if err != nil {
		return spent, err
	}
	store, err := s.open(partitions)
	if err != nil {
		return spent, err
	}
	defer func() { _ = store.Close() }()
	puts := make([]medispatcher.SubscriptionPut, l.fanOut)
	for i := range puts {
		doc, err := json.Marshal(map[string]any{"topic": "topic.0", "urls": []string{"http://" + r.addr + "/"}, "concurrency": max(4, 96/l.fanOut)})
		if err != nil {
			return spent, err
		}
		puts[i] = medispatcher.SubscriptionPut{ID: fmt.Sprintf("sub-%d", i), Document: doc}
	}
	for _, done := range registryOf(store).PutAll(ctx, puts) {
		if done.Err != nil {
			return spent, done.Err
		}
	}
	var all []*proc.Process
	for range max(l.dispatchers, 1) {
		d, err := s.serve(ctx, s.addr, partitions)
		if err != nil {
			return spent, err
		}
		all = append(all, d)
	}
	if len(all) > 1 {
		if err := pause(ctx, herdSettles); err != nil {
			return spent, err
		}
	}
	warm := max(1, l.messages()/20)
	if err := s.publishBodies(ctx, partitions, warm, l.body); err != nil {
		return spent, err
	}
	if _, err := r.await(ctx, warm*l.fanOut, farWithin); err != nil {
		return spent, err
	}
	before, err := s.used(ctx, all)
	if err != nil {
		return spent, err
	}
	if err := s.publishBodies(ctx, partitions, l.messages(), l.body); err != nil {
		return spent, err
	}
	if _, err := r.await(ctx, (warm+l.messages())*l.fanOut, farWithin); err != nil {
		return spent, err
	}
	if err := pause(ctx, 200*time.Millisecond); err != nil { // the last ones are settled
		return spent, err
	}
	after, err := s.used(ctx, all)
	if err != nil {
		return spent, err
	}
	n := float64(l.messages() * l.fanOut)
	return spending{(after.dispatcher - before.dispatcher) / n, (after.redis - before.redis) / n, (after.log - before.log) / n}, nil
}

// noRewrite keeps the log growing, so that its length shows what was written.
var noRewrite = []string{"--auto-aof-rewrite-percentage", "0"}

// used is what Redis and the dispatchers have used since they were started.
func (s *site) used(ctx context.Context, dispatchers []*proc.Process) (u spending, err error) {
	for _, d := range dispatchers {
		used, err := d.Used()
		if err != nil {
			return u, err
		}
		u.dispatcher += float64(used.CPU.Microseconds())
	}
	addrs := strings.Split(s.addr, ",")
	for i, m := range s.masters {
		used, err := m.Used()
		if err != nil {
			return u, err
		}
		u.redis += float64(used.CPU.Microseconds())
		info, err := s.info(ctx, addrs[i], "persistence")
		if err != nil {
			return u, err
		}
		log, err := strconv.ParseFloat(info["aof_current_size"], 64)
		if err != nil {
			return u, err
		}
		u.log += log
	}
	return u, nil
}

// copyScript is a fan-out that checks nothing: KEYS are the incoming stream and the channels, ARGV is the id of an entry.
var copyScript = redis.NewScript(`
local fields = redis.call('XRANGE', KEYS[1], ARGV[1], ARGV[1])[1][2]
for i = 2, #KEYS do redis.call('XADD', KEYS[i], '*', unpack(fields)) end
redis.call('XACK', KEYS[1], 'fanout', ARGV[1])
redis.call('XDEL', KEYS[1], ARGV[1])`)

// floor is the least that Redis does for a delivery, in µs of CPU: an entry is written once, copied in Redis, and each copy is read
// once and deleted. The fan-out is told of the id, and does not read the entry.
func (s *site) floor(ctx context.Context, l load) (float64, error) {
	defer func() {
		s.stop()
		s.running = nil
	}()
	if err := s.startRedis(ctx, noRewrite...); err != nil {
		return 0, err
	}
	c := s.client()
	defer func() { _ = c.Close() }()
	const incoming = "medis:{0}:incoming"
	keys := []string{incoming}
	for i := range l.fanOut {
		keys = append(keys, fmt.Sprint("medis:{0}:ch:sub-", i))
	}
	for i, key := range keys {
		group := "push"
		if i == 0 {
			group = "fanout"
		}
		if err := c.XGroupCreateMkStream(ctx, key, group, "0").Err(); err != nil {
			return 0, err
		}
	}
	before, err := s.used(ctx, nil)
	if err != nil {
		return 0, err
	}
	for range l.messages() {
		if err := s.publishBodies(ctx, 1, 1, l.body); err != nil {
			return 0, err
		}
		// Only the id crosses the network.
		id, err := c.Eval(ctx, "return redis.call('XREADGROUP', 'GROUP', 'fanout', 'x', 'COUNT', 1, 'STREAMS', KEYS[1], '>')[1][2][1][1]", keys[:1]).Text()
		if err != nil {
			return 0, err
		}
		if err := copyScript.Run(ctx, c, keys, id).Err(); err != nil && !errors.Is(err, redis.Nil) {
			return 0, err
		}
		for _, key := range keys[1:] {
			got, err := c.XReadGroup(ctx, &redis.XReadGroupArgs{Group: "push", Consumer: "x", Count: 1, Streams: []string{key, ">"}}).Result()
			if err != nil {
				return 0, err
			}
			id := got[0].Messages[0].ID
			if err := c.XAck(ctx, key, "push", id).Err(); err != nil {
				return 0, err
			}
			if err := c.XDel(ctx, key, id).Err(); err != nil {
				return 0, err
			}
		}
	}
	after, err := s.used(ctx, nil)
	return (after.redis - before.redis) / float64(l.messages()*l.fanOut), err
}
