package rdb

import (
	"context"
	"errors"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	// learnSoon and learnLate bound the question to one node where the slots are: one that hangs must
	// not keep the others from being asked. The first is for a node that is near; while none
	// answers, each is given twice the time.
	learnSoon = 500 * time.Millisecond
	learnLate = 4 * learnSoon
	// learnEvery spaces the questions while nobody can answer.
	learnEvery = 100 * time.Millisecond
	// cutAfter lets a node that left the cluster answer what it was asked before.
	cutAfter = time.Second
)

// slotLearner has a cluster client learn anew which master has which slots, as soon as a
// node gives reason to doubt it. By itself the client learns that from a redirection, or
// once a minute: a master that died redirects nobody. It is a hook of each node's client,
// so that it sees the errors of both kinds of commands, of dialing and of subscriptions.
type slotLearner struct {
	cluster *redis.ClusterClient
	began   time.Time
	last    atomic.Int64 // when the slots were last asked for, ns since began
	slow    atomic.Int32 // questions without an answer since the last one with
	nodes   atomic.Pointer[string]
	links   links
}

var _ redis.Hook = (*slotLearner)(nil)

// learnSlots makes a cluster client follow failovers.
func learnSlots(cluster *redis.ClusterClient) {
	l := &slotLearner{cluster: cluster, began: time.Now().Add(-learnEvery)}
	cluster.OnNewNode(func(node *redis.Client) { node.AddHook(l) })
}

// doubt looks at an error of a node.
func (l *slotLearner) doubt(ctx context.Context, err error) {
	if !misplaced(err) {
		return
	}
	now, last := int64(time.Since(l.began)), l.last.Load()
	if now-last >= int64(learnEvery) && l.last.CompareAndSwap(last, now) {
		l.cluster.ReloadState(ctx) // does not wait for it
	}
}

// learned takes the map that a node gave. Nodes that are not in it any more are dead, or hang,
// or were taken away.
func (l *slotLearner) learned(slots []redis.ClusterSlot) {
	var addrs []string
	for _, s := range slots {
		for _, n := range s.Nodes {
			addrs = append(addrs, n.Addr)
		}
	}
	slices.Sort(addrs)
	now := strings.Join(slices.Compact(addrs), " ")
	if before := l.nodes.Swap(&now); before != nil && *before != now {
		time.AfterFunc(cutAfter, l.cut)
	}
}

// cut ends the connections to nodes that are not in the map that the client works by.
func (l *slotLearner) cut() {
	ctx, cancel := context.WithTimeout(context.Background(), ReplyTimeout)
	defer cancel()
	var mu sync.Mutex
	known := map[string]bool{}
	err := l.cluster.ForEachShard(ctx, func(_ context.Context, node *redis.Client) error {
		mu.Lock()
		defer mu.Unlock()
		known[node.Options().Addr] = true
		return nil
	})
	if err == nil && len(known) > 0 {
		l.links.cutAllBut(known)
	}
}

// misplacedReplies begin the errors of a node that is not, or not now, the master of a slot.
var misplacedReplies = []string{"READONLY", "CLUSTERDOWN", "MASTERDOWN", "MOVED", "LOADING", "UNBLOCKED"}

// misplaced reports whether an error may mean that the slot has another master by now. A
// node that does not answer may be dead; one that answers most often says what is wrong.
func misplaced(err error) bool {
	var answer redis.Error
	switch {
	case err == nil, errors.Is(err, context.Canceled):
		return false
	case errors.As(err, &answer):
		return slices.ContainsFunc(misplacedReplies, func(prefix string) bool { return redis.HasErrorPrefix(err, prefix) })
	}
	return true
}

func (l *slotLearner) DialHook(next redis.DialHook) redis.DialHook {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		if err := l.links.refused(addr); err != nil {
			return nil, err
		}
		conn, err := next(ctx, network, addr)
		if err != nil {
			l.doubt(ctx, err)
			return nil, err
		}
		return l.links.add(addr, conn), nil
	}
}

func (l *slotLearner) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if asked, ok := cmd.(*redis.ClusterSlotsCmd); ok {
			ctx, cancel := context.WithTimeout(ctx, min(learnSoon<<min(l.slow.Add(1)-1, 8), learnLate))
			defer cancel()
			err := next(ctx, cmd)
			if err == nil {
				l.slow.Store(0)
				l.learned(asked.Val())
			}
			return err // the client asks the next node
		}
		err := next(ctx, cmd)
		l.doubt(ctx, err)
		return err
	}
}

func (l *slotLearner) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		err := next(ctx, cmds)
		l.doubt(ctx, err)
		for _, cmd := range cmds {
			if cmd.Err() != nil {
				l.doubt(ctx, cmd.Err())
			}
		}
		return err
	}
}
