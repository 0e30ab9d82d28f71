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
	// learnSoon and learnLate bound how long one node may take to say where the slots are. A node that
	// hangs must not delay the question to the others. The limit starts at learnSoon and doubles with
	// each question that gets no answer, up to learnLate.
	learnSoon = 500 * time.Millisecond
	learnLate = 4 * learnSoon
	// learnEvery is the pause between questions while no node answers.
	learnEvery = 100 * time.Millisecond
	// cutAfter gives a node that left the cluster time to answer earlier commands.
	cutAfter = time.Second
)

// slotLearner makes a cluster client ask again which master has which slots, as soon as an error
// suggests that this has changed. By itself, the client learns it only from a redirection, or once
// a minute, and a dead master redirects nobody. slotLearner is a hook on the client of each node, so
// that it sees the errors of single commands, pipelines, dialing and subscriptions.
type slotLearner struct {
	cluster *redis.ClusterClient
	began   time.Time
	last    atomic.Int64 // when the slots were last asked for, ns since began
	slow    atomic.Int32 // questions since the last answer
	nodes   atomic.Pointer[string]
	links   links
}

var _ redis.Hook = (*slotLearner)(nil)

// learnSlots makes a cluster client follow failovers.
func learnSlots(cluster *redis.ClusterClient) {
	l := &slotLearner{cluster: cluster, began: time.Now().Add(-learnEvery)}
	cluster.OnNewNode(func(node *redis.Client) { node.AddHook(l) })
}

// doubt asks for the slots again if an error suggests that they moved.
func (l *slotLearner) doubt(ctx context.Context, err error) {
	if !misplaced(err) {
		return
	}
	now, last := int64(time.Since(l.began)), l.last.Load()
	if now-last >= int64(learnEvery) && l.last.CompareAndSwap(last, now) {
		l.cluster.ReloadState(ctx) // does not wait for it
	}
}

// learned compares the map that a node gave with the one before. A node that is no longer in it is
// dead, hangs or was removed.
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

// cut closes the connections to nodes that are not in the client's current map.
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

// misplacedReplies are the prefixes of errors from a node that is not the master of a slot, or not now.
var misplacedReplies = []string{"READONLY", "CLUSTERDOWN", "MASTERDOWN", "MOVED", "LOADING", "UNBLOCKED"}

// misplaced reports whether an error may mean that the slot has another master now. If Redis returned
// the error, its prefix decides. Any other error counts, because the node may be dead.
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
