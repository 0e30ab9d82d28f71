package streams

import (
	"context"
	"sync"
	"time"

	"github.com/solate/medispatcher/streams/internal/rdb"
)

// The incoming streams of idle partitions share one blocked read, so that nothing to do costs the same with one
// partition and with many. In a cluster no command may name streams of several slots, so each partition reads for itself.
const (
	// sharedStreams is the most streams of one read. It brings one entry of each at most, because nobody knows how large they are;
	// fanoutRead bounds a read of one stream by the same number.
	sharedStreams = rdb.SharedStreams
	// sharedGap is how long a round waits for those that may take part. Messages that come meanwhile wait, too.
	sharedGap = 5 * time.Millisecond
	// sharedSoon: a round that ends so soon is worth waiting for.
	sharedSoon = 5 * time.Millisecond
	// sharedOff is for how long nothing is shared after an answer that is an error: one stream is not as it should be.
	sharedOff = time.Minute
)

// sharedRead is the blocked read of up to sharedStreams partitions. Its rounds run while somebody takes part.
type sharedRead struct {
	store *Store

	mu      sync.Mutex
	parked  []*parked     // for the next round
	coming  int           // how many may take part in the next round: those of the last one, and who reads alone meanwhile
	all     chan struct{} // closed when so many have parked
	running bool
	until   time.Time // when the round under way ends; zero: there is none
	off     time.Time
}

// sharedReads are those of all partitions.
type sharedReads struct {
	mu sync.Mutex
	by map[int]*sharedRead // p / sharedStreams
}

// sharedWith is the read that partition p shares with others; nil: there are no others, or they are in other slots.
func (s *Store) sharedWith(p int) *sharedRead {
	if s.db.IsCluster() || s.Partitions() == 1 {
		return nil
	}
	s.shared.mu.Lock()
	defer s.shared.mu.Unlock()
	if s.shared.by == nil {
		s.shared.by = map[int]*sharedRead{}
	}
	r := s.shared.by[p/sharedStreams]
	if r == nil {
		r = &sharedRead{store: s}
		s.shared.by[p/sharedStreams] = r
	}
	return r
}

// parked is a worker that waits for new entries of its partition.
type parked struct {
	p    int
	done chan arrivals
	err  error // of the round, before done
}

// wait waits for the next entry of partition p, a second at most. Where the worker has to read by itself, it says for how long.
func (r *sharedRead) wait(p int) (a arrivals, alone time.Duration, err error) {
	r.mu.Lock()
	now := time.Now()
	if now.Before(r.off) {
		r.mu.Unlock()
		return a, rdb.BlockFor, nil
	}
	if left := r.until.Sub(now); !r.until.IsZero() && left > sharedSoon {
		r.coming++
		r.mu.Unlock()
		return a, left - sharedSoon/2, nil
	}
	w := &parked{p: p, done: make(chan arrivals, 1)}
	r.parked = append(r.parked, w)
	if !r.running {
		r.running = true
		go r.run()
	} else if r.all != nil && len(r.parked) >= r.coming {
		close(r.all)
		r.all = nil
	}
	r.mu.Unlock()
	a = <-w.done
	return a, 0, w.err
}

// run makes rounds while anybody takes part.
func (r *sharedRead) run() {
	for {
		round := r.gather()
		if round == nil {
			return
		}
		r.read(round)
	}
}

// gather waits a moment for those that may take part, and begins a round; nil: nobody takes part.
func (r *sharedRead) gather() []*parked {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.until = time.Time{}
	if len(r.parked) < r.coming {
		all := make(chan struct{})
		r.all = all
		r.mu.Unlock()
		gap := time.NewTimer(sharedGap)
		select {
		case <-all:
		case <-gap.C:
		}
		gap.Stop()
		r.mu.Lock()
		r.all = nil
	}
	round := r.parked
	r.parked, r.coming = nil, 0
	if len(round) == 0 {
		r.running = false
		return nil
	}
	r.until = time.Now().Add(rdb.BlockFor)
	return round
}

// read waits for an entry of any of the partitions, and hands out what came.
func (r *sharedRead) read(round []*parked) {
	s := r.store
	ctx, cancel := context.WithTimeout(context.Background(), rdb.BlockFor+rdb.ReplyTimeout)
	defer cancel()
	args := []any{"XREADGROUP", "GROUP", rdb.GroupFanout, s.cfg.ID, "COUNT", 1, "BLOCK", rdb.BlockFor.Milliseconds(), "STREAMS"}
	of := make(map[string]*parked, len(round))
	for _, w := range round {
		if key := s.keys.Incoming(w.p); of[key] == nil { // another worker of the same partition gets what comes later
			of[key] = w
			args = append(args, key)
		}
	}
	for range of {
		args = append(args, unread)
	}
	got := make(map[*parked][]Entry, 1)
	pipe := s.db.BlockingPipe(ctx)
	read := rdb.ReadGroups(pipe, func(stream string, e rdb.Entry) {
		if w := of[stream]; w != nil {
			got[w] = append(got[w], Entry{ID: e.ID, fields: e.Fields})
		}
	}, args...)
	subs := s.askVersion(pipe)
	_ = pipe.Run() // each command has its own error
	err := read.Err()
	refused := rdb.IsAnswer(err)
	r.mu.Lock()
	r.until = time.Time{}
	if refused { // Redis read nothing: each of them finds out by itself what is wrong
		r.off, err = time.Now().Add(sharedOff), nil
	} else if err == nil {
		r.coming += len(round) - len(got)
	}
	r.mu.Unlock()
	for _, w := range round {
		a := arrivals{entries: got[w]}
		if len(a.entries) > 0 {
			a.subs, a.more = subs, true
		}
		w.err = rdb.Failed("read incoming", err)
		w.done <- a
	}
}
