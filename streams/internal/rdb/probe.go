package rdb

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/solate/medispatcher/internal/sock"
)

// Ping finds out whether Redis answers.
func (db *DB) Ping(ctx context.Context) error {
	return Failed("ping", Text(db.With(ctx), "PING").Err())
}

// Probe asks Redis whether it accepts writes. A replica, a full Redis and one that cannot save
// refuse writes, but answer a ping. Nothing is written. In a cluster it asks the masters of all
// partitions, of the subscriptions and of the heartbeats. The error names those that refuse.
func (db *DB) Probe(ctx context.Context) error {
	if !db.IsCluster() {
		return Failed("probe", Int(db.With(ctx), "LPUSHX", db.Keys.Probe(0), "").Err()) // Redis may refuse it like any write; the key never exists
	}
	asked, err := db.probes(ctx)
	if err != nil {
		return Failed("probe", err)
	}
	pipe := db.Pipe(ctx)
	answers := make([]*Reply[int64], len(asked))
	for i, a := range asked {
		answers[i] = Int(pipe, "LPUSHX", a.key, "")
	}
	_ = pipe.Run() // each command has its own error
	var refusals []refusal
	for i, a := range asked {
		if err := answers[i].Err(); err != nil {
			_, cause := sock.Plain(err)
			refusals = note(refusals, a, cause)
		}
	}
	return Failed("probe", joinRefusals(refusals))
}

// probed is a key to probe, what its slot holds, and its master.
type probed struct {
	key, what, master string
}

func (db *DB) probes(ctx context.Context) ([]probed, error) {
	asked := []probed{
		{key: db.Keys.ProbeOf(db.Keys.Subscriptions()), what: "the subscriptions"},
		{key: db.Keys.ProbeOf(db.Keys.Revision()), what: "the subscriptions' revision"},
		{key: db.Keys.ProbeOf(db.Keys.Dispatchers()), what: "the heartbeats"},
	}
	for p := range db.Partitions() {
		asked = append(asked, probed{key: db.Keys.Probe(p), what: strconv.Itoa(p)})
	}
	for i := range asked {
		master, err := db.MasterOf(ctx, asked[i].key)
		if err != nil {
			return nil, err
		}
		asked[i].master = master.Addr
	}
	return asked, nil
}

// refusal says which writes one master refuses, and why.
type refusal struct {
	master     string
	partitions []string
	others     []string
	err        error
}

func note(list []refusal, a probed, err error) []refusal {
	i := slices.IndexFunc(list, func(r refusal) bool { return r.master == a.master })
	if i < 0 {
		i = len(list)
		list = append(list, refusal{master: a.master, err: err})
	}
	if _, isNumber := strconv.Atoi(a.what); isNumber == nil {
		list[i].partitions = append(list[i].partitions, a.what)
	} else {
		list[i].others = append(list[i].others, a.what)
	}
	return list
}

// joinRefusals joins all refusals into one error of one line.
func joinRefusals(list []refusal) error {
	slices.SortFunc(list, func(a, b refusal) int { return cmp.Compare(a.master, b.master) })
	var all error
	for _, r := range list {
		what := r.others
		if n := len(r.partitions); n > 0 {
			name := "partition "
			if n > 1 {
				name = "partitions "
			}
			what = append([]string{name + Some(r.partitions)}, what...)
		}
		err := fmt.Errorf("%s on %s: %w", strings.Join(what, ", "), r.master, r.err)
		if all != nil {
			err = fmt.Errorf("%w; %w", all, err)
		}
		all = err
	}
	return all
}
