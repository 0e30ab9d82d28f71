package streams_test

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/solate/medispatcher"
)

// place says where an entry is, in the words of the log of a failed sequence.
type place struct {
	where   string // one of the places below
	owner   string // of a pending entry
	attempt int    // number of the current attempt, or if retrying, of the next one
	due     int64  // ms; 0: none
	entry   string // id in the stream it is in; "": not known yet
}

// The places of an arrival and of a copy. A copy starts READY.
const (
	placeIncoming = "INCOMING"
	placeDelayed  = "delayed"
	placeRouted   = "routed"
	placeReady    = "READY"
	placeBuried   = "BURIED"
	placeRetrying = "BURIED, retrying"
	placeDead     = "DEAD"
	placeDeleted  = "DELETED"
)

func (l place) String() string {
	text := l.where + " " + l.entry
	if l.owner != "" {
		text += fmt.Sprintf(", owned by %s", l.owner)
	}
	if l.attempt > 0 {
		text += fmt.Sprintf(", attempt %d", l.attempt)
	}
	if l.due > 0 {
		text += fmt.Sprintf(", due at %d", l.due)
	}
	return text
}

// arrival is a message as a producer wrote it. Its body names it: "m0", "m1", …
type arrival struct {
	place
	n        int
	p        int
	id       string // the producer's
	topic    string
	delay    int64  // ms
	first    string // id of its first entry
	after    string // the last subscription that has its copy, until all have
	released bool   // it was a delayed message
	unowned  bool   // the group has read it, but no consumer owns it
	result   string // of its fan-out
}

func (m *arrival) name() string { return "m" + strconv.Itoa(m.n) }

// messageID is the id that subscribers see.
func (m *arrival) messageID() string {
	if m.id != "" {
		return m.id
	}
	return fmt.Sprintf("%d-%s", m.p, m.first)
}

// copyOf is one subscription's copy of an arrival.
type copyOf struct {
	place
	medispatcher.Channel
	m       *arrival
	failed  bool // it has a failure record
	tried   int  // attempts in its failure record
	unowned bool // the group has read it, but no consumer owns it
	end     string
}

func (c *copyOf) name() string { return c.m.name() + " of " + c.Subscription }

// pending reports whether the copy is in the pending list.
func (c *copyOf) pending() bool { return c.where == placeBuried || c.where == placeRetrying }

// sight is the state of Redis: a place for each arrival and copy, by name.
type sight struct {
	places   map[string]place
	groups   map[string]bool
	counts   map[string]int64
	records  map[string]bool // copies that have a failure record
	problems []string
}

func (s *sight) problem(format string, args ...any) {
	s.problems = append(s.problems, fmt.Sprintf(format, args...))
}

func (s *sight) found(name string, at place) {
	if had, twice := s.places[name]; twice {
		s.problem("%s is in two places: %s; %s", name, had, at)
	}
	s.places[name] = at
}

// part is what look reads of one stream and the keys that belong to it.
type part struct {
	p            int
	sub          string // "": incoming
	stream, dead *redis.XMessageSliceCmd
	unrouted     *redis.XMessageSliceCmd
	pending      *redis.XPendingExtCmd
	due          *redis.ZSliceCmd
	records      *redis.StringSliceCmd
	active       *redis.BoolCmd // whether the sets of active channels have it
	buried       *redis.BoolCmd
}

// look reads all of Redis in one round trip.
func (w *world) look() *sight {
	pipe := w.Client.Pipeline()
	var parts []part
	ask := func(p int, sub, stream, group, due, records, dead string) {
		base := fmt.Sprintf("medis:{%d}:", p)
		parts = append(parts, part{
			p: p, sub: sub,
			stream:  pipe.XRange(w.ctx, base+stream, "-", "+"),
			pending: pipe.XPendingExt(w.ctx, &redis.XPendingExtArgs{Stream: base + stream, Group: group, Start: "-", End: "+", Count: 1000}),
			due:     pipe.ZRangeWithScores(w.ctx, base+due, 0, -1),
			records: pipe.HKeys(w.ctx, base+records),
			dead:    pipe.XRange(w.ctx, base+dead, "-", "+"),
			active:  pipe.SIsMember(w.ctx, base+"active", sub),
			buried:  pipe.SIsMember(w.ctx, base+"active:dead", sub),
		})
		if sub == "" {
			parts[len(parts)-1].unrouted = pipe.XRange(w.ctx, base+"unrouted", "-", "+")
		}
	}
	var totals []*redis.MapStringStringCmd
	for p := range modelPartitions {
		ask(p, "", "incoming", "fanout", "delayed", "delayed:body", "quarantine")
		for _, sub := range modelIDs {
			ask(p, sub, "ch:"+sub, "push", "retry:"+sub, "failures:"+sub, "dead:"+sub)
		}
		totals = append(totals, pipe.HGetAll(w.ctx, fmt.Sprintf("medis:stats:{%d}:total", p)))
	}
	_, _ = pipe.Exec(w.ctx) // a missing group is a valid answer
	s := &sight{places: map[string]place{}, groups: map[string]bool{}, counts: map[string]int64{}, records: map[string]bool{}}
	for _, pt := range parts {
		w.lookAt(s, pt)
	}
	for _, total := range totals {
		w.ok(total.Err())
		for what, n := range total.Val() {
			if strings.HasPrefix(what, "~") {
				continue // internal counters
			}
			v, err := strconv.ParseInt(n, 10, 64)
			w.ok(err)
			s.counts[what] += v
		}
	}
	return s
}

func (w *world) lookAt(s *sight, pt part) {
	w.ok(pt.stream.Err())
	key := incomingKey(pt.p)
	if pt.sub != "" {
		key = channelKey(pt.p, pt.sub)
	}
	if err := pt.pending.Err(); err == nil {
		s.groups[key] = true
	} else if !strings.Contains(err.Error(), "NOGROUP") {
		w.ok(err)
	}
	pending := map[string]redis.XPendingExt{}
	for _, e := range pt.pending.Val() {
		pending[e.ID] = e
	}
	due := map[string]int64{}
	for _, z := range pt.due.Val() {
		due[z.Member.(string)] = int64(z.Score)
	}
	records := map[string]bool{}
	for _, id := range pt.records.Val() {
		records[id] = true
	}
	if pt.sub != "" && len(pt.stream.Val())+len(pending) > 0 && !pt.active.Val() {
		s.problem("%s holds something, and is not active", key)
	}
	if pt.sub != "" && len(pt.dead.Val()) > 0 && !pt.buried.Val() {
		s.problem("%s has dead letters, and the set of those does not have it", key)
	}
	name := func(e redis.XMessage) string {
		if pt.sub == "" {
			return bodyOf(e)
		}
		return bodyOf(e) + " of " + pt.sub
	}
	if pt.unrouted != nil {
		for _, e := range pt.unrouted.Val() {
			s.found("unrouted "+name(e), place{where: placeRouted})
		}
	}
	for _, e := range pt.dead.Val() {
		if pt.sub == "" { // the quarantine
			s.found(name(e), place{where: placeRouted})
			continue
		}
		s.found(name(e), place{where: placeDead, entry: e.ID})
		if e.Values["failure"] == nil {
			s.problem("%s is DEAD without a failure record", name(e))
		}
	}
	for _, e := range pt.stream.Val() {
		at := place{where: placeReady, entry: e.ID}
		if pt.sub == "" {
			at.where = placeIncoming
		}
		if pe, ok := pending[e.ID]; ok {
			at.owner = pe.Consumer
			if pt.sub != "" {
				at.where, at.attempt = placeBuried, int(pe.RetryCount)
				if pe.Consumer == "~buried" {
					at.where, at.owner, at.due = placeRetrying, "", due[e.ID]
				}
				s.records[name(e)] = records[e.ID]
			}
			delete(pending, e.ID)
		}
		if pt.sub == "" {
			s.found(name(e), at)
			continue
		}
		s.found(name(e), at)
		if e.Values["failure"] != nil {
			s.problem("%s is %s with the record of a dead letter", name(e), at)
		}
		if at.where != placeRetrying && due[e.ID] > 0 && !w.remade[key] {
			s.problem("%s has a due time and is %s", name(e), at)
		}
		delete(due, e.ID)
		delete(records, e.ID)
	}
	for id, pe := range pending {
		s.problem("%s: entry %s is pending for %s and not in the stream", key, id, pe.Consumer)
	}
	if pt.sub == "" { // delayed and delayed:body
		for id, ms := range due {
			if !records[id] {
				s.problem("%s is delayed without its body", id)
			}
			delete(records, id)
			s.found("delayed in "+strconv.Itoa(pt.p)+" as "+id, place{where: placeDelayed, due: ms})
		}
		due = nil
	}
	for id := range due {
		s.problem("%s: a due time of entry %s, which is not there", key, id)
	}
	for id := range records {
		s.problem("%s: a record of entry %s, which is not there", key, id)
	}
}
