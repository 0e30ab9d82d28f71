// Package trail keeps who did what: the audit trail, and the sessions that were ended before their time.
//
// It is not for other programs, and may change with every release; packages publish and verify are for them.
//
// It imports the root package, streams (for the history of subscriptions) and streams/internal.
package trail

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/streams"
	"github.com/solate/medispatcher/streams/internal/rdb"
)

const (
	// deedsKept is about how many deeds are kept beside the history of subscriptions. Each is bounded, too.
	deedsKept = 10_000
	// deedsPage is how many entries one command reads.
	deedsPage = 500
	// endedKept bounds the sessions that are remembered as ended. Beyond it those are forgotten that would end first.
	endedKept = 10_000
	// clocksApart is how far the clocks of two dispatchers may be apart before a session that was ended is forgotten too early.
	clocksApart = time.Hour
)

// fromHistory ends the id of a deed that comes from the history of subscriptions. An entry there may have the same id as
// a deed, and then comes before it.
const fromHistory = "h"

// Trail is the audit trail, and the ended sessions.
type Trail struct {
	db      *rdb.DB
	keys    rdb.Keys
	history *streams.Store
}

// New makes the Trail of a store.
func New(store *streams.Store) *Trail { return &Trail{store.DB(), store.DB().Keys, store} }

// Note adds a deed to the audit trail. A repetition adds it twice. Its id and time are ignored.
func (t *Trail) Note(ctx context.Context, d medispatcher.Deed) error {
	d = d.Bounded()
	d.ID, d.Time = "", time.Time{}
	record, err := json.Marshal(d)
	if err != nil {
		return err
	}
	return rdb.Failed("note a deed", rdb.Text(t.db.With(ctx), "XADD", t.keys.Deeds(), "MAXLEN", "~", deedsKept, "*", "deed", string(record)).Err())
}

// Deeds lists up to limit deeds, the latest first, those of the history of subscriptions among them. before is the id of
// the last one seen, empty at first.
func (t *Trail) Deeds(ctx context.Context, before string, limit int) ([]medispatcher.Deed, error) {
	id, historic := strings.CutSuffix(before, fromHistory)
	if before != "" && !rdb.IsEntryID(id) {
		return nil, medispatcher.FieldError{Field: "before", Problem: fmt.Sprintf("%.80q is not the id of a deed, such as 1700000000000-0", before)}
	}
	end := "+"
	if before != "" {
		end = "(" + id
		if historic { // the deed with the same id comes after it
			end = id
		}
	}
	entries, err := rdb.Entries(t.db.With(ctx), "XREVRANGE", t.keys.Deeds(), end, "-", "COUNT", min(limit, deedsPage)).Result()
	if err != nil {
		return nil, rdb.Failed("list deeds", err)
	}
	deeds := []medispatcher.Deed{}
	for _, e := range entries {
		var d medispatcher.Deed
		if json.Unmarshal([]byte(e.Fields.Get("deed")), &d) != nil {
			continue // somebody wrote it by hand
		}
		d.ID, d.Time = e.ID, rdb.EntryTime(e.ID).UTC()
		deeds = append(deeds, d)
	}
	changes, err := t.history.Changes(ctx, "", id, min(limit, deedsPage))
	if err != nil {
		return nil, err
	}
	for _, c := range changes {
		d := medispatcher.DeedOf(c)
		d.ID += fromHistory
		deeds = append(deeds, d)
	}
	slices.SortFunc(deeds, later)
	return deeds[:min(len(deeds), limit, deedsPage)], nil
}

// later orders deeds, the latest first.
func later(a, b medispatcher.Deed) int {
	x, y := strings.TrimSuffix(a.ID, fromHistory), strings.TrimSuffix(b.ID, fromHistory)
	return cmp.Or(cmp.Compare(number(y, 0), number(x, 0)), cmp.Compare(number(y, 1), number(x, 1)), cmp.Compare(len(b.ID), len(a.ID)))
}

// number is one of the two numbers of an entry id.
func number(id string, which int) uint64 {
	n, _ := strconv.ParseUint(strings.Split(id, "-")[which], 10, 64)
	return n
}

// EndSession remembers that a session has ended, until it would have ended by itself.
func (t *Trail) EndSession(ctx context.Context, id string, until time.Time) error {
	pipe, key := t.db.Tx(ctx), t.keys.EndedSessions()
	rdb.Int(pipe, "ZADD", key, until.Unix(), id)
	rdb.Int(pipe, "ZREMRANGEBYSCORE", key, "-inf", time.Now().Add(-clocksApart).Unix())
	rdb.Int(pipe, "ZREMRANGEBYRANK", key, 0, -endedKept-1)
	return rdb.Failed("end a session", pipe.Run())
}

// SessionEnded reports whether a session was ended.
func (t *Trail) SessionEnded(ctx context.Context, id string) (bool, error) {
	err := rdb.Float(t.db.With(ctx), "ZSCORE", t.keys.EndedSessions(), id).Err()
	if rdb.IsNil(err) {
		return false, nil
	}
	return err == nil, rdb.Failed("look for a session", err)
}
