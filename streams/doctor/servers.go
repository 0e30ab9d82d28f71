package doctor

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/solate/medispatcher/streams/internal/rdb"
)

// server is what one master says about itself.
type server struct {
	addr    string
	err     error             // it does not answer
	info    map[string]string // from INFO; empty if it is refused
	config  map[string]string // from CONFIG GET; empty if it is refused
	cluster map[string]string // from CLUSTER INFO; nil: no cluster
	infoErr error
	confErr error
	skew    time.Duration // its clock minus that of this machine
	within  time.Duration // the error of skew
}

// settingsAsked are the parameters that the checks need. Each takes a CONFIG GET of its own,
// because one command for several came with Redis 7.0.
var settingsAsked = []string{
	"appendfsync", "save", "stop-writes-on-bgsave-error", "min-replicas-to-write", "timeout",
	"proto-max-bulk-len", "maxmemory-policy", "cluster-require-full-coverage", "client-output-buffer-limit",
}

// examineServers asks every master about itself.
func (d *exam) examineServers(ctx context.Context) error {
	var mu sync.Mutex
	var servers []*server
	cluster := d.db.IsCluster()
	err := d.db.EachMaster(ctx, func(ctx context.Context, master *rdb.Node) error {
		n := askServer(ctx, master, cluster)
		mu.Lock()
		defer mu.Unlock()
		servers = append(servers, n)
		return nil
	})
	if err != nil {
		return rdb.Failed("list the masters", err)
	}
	slices.SortFunc(servers, func(a, b *server) int { return strings.Compare(a.addr, b.addr) })
	d.judge(servers, "reachable", func(n *server) verdict {
		if n.err != nil {
			return verdict{LevelProblem, "does not answer: " + n.err.Error(), "see whether it runs; its partitions and subscriptions stand still"}
		}
		return verdict{LevelOK, "answers", ""}
	})
	servers = slices.DeleteFunc(servers, func(n *server) bool { return n.err != nil })
	for _, c := range serverChecks {
		if c.check != "cluster" || cluster {
			d.judge(servers, c.check, c.judge)
		}
	}
	d.gatherUnknown()
	for _, n := range servers {
		if v, ok := n.number(n.config, "proto-max-bulk-len"); ok && (d.x.MaxBulk == 0 || v < d.x.MaxBulk) {
			d.x.MaxBulk = v
		}
	}
	if cluster && d.db.Partitions() < len(servers) {
		d.add(AreaRedis, "spread", LevelWarning, fmt.Sprintf("%s for %d masters: some masters hold no messages", count(d.db.Partitions(), "partition"), len(servers)),
			"if one master is too busy, raise MEDIS_PARTITIONS in all dispatchers and producers at once")
	}
	return nil
}

// judge runs one check on every master. Masters with the same verdict share a finding.
func (d *exam) judge(servers []*server, check string, judge func(*server) verdict) {
	var order []verdict
	which := map[verdict][]string{}
	for _, n := range servers {
		v := judge(n)
		if which[v] == nil {
			order = append(order, v)
		}
		which[v] = append(which[v], n.addr)
	}
	for _, v := range order {
		seen := v.seen
		switch names := which[v]; {
		case len(names) < len(servers):
			seen = rdb.Some(names) + ": " + seen
		case len(servers) > 1:
			seen = fmt.Sprintf("all %d masters: %s", len(servers), seen)
		}
		d.add(AreaRedis, check, v.level, seen, v.do)
	}
}

// gatherUnknown merges the checks that could not be done for the same reason into one finding.
func (d *exam) gatherUnknown() {
	var kept, unknown []Finding
	for _, f := range d.x.Findings {
		same := slices.IndexFunc(unknown, func(u Finding) bool { return u.Seen == f.Seen && u.Do == f.Do })
		switch {
		case f.Area != AreaRedis || f.Level != LevelUnknown:
			kept = append(kept, f)
		case same < 0:
			unknown = append(unknown, f)
		default:
			unknown[same].Check += ", " + f.Check
		}
	}
	for _, f := range unknown {
		f.Seen = strings.Replace(f.Seen, "could not be checked", "could not be checked ("+f.Check+")", 1)
		f.Check = "not checked"
		kept = append(kept, f)
	}
	d.x.Findings = kept
}

// askServer asks one master. Managed services often refuse INFO and CONFIG.
func askServer(ctx context.Context, master *rdb.Node, cluster bool) *server {
	n := &server{addr: master.Addr, info: map[string]string{}, config: map[string]string{}}
	if n.err = n.askTime(ctx, master); n.err != nil {
		return n
	}
	pipe := master.Pipe(ctx)
	info := rdb.Text(pipe, "INFO")
	settings := make([]*rdb.Reply[map[string]string], len(settingsAsked))
	for i, name := range settingsAsked {
		settings[i] = rdb.Map(pipe, "CONFIG", "GET", name)
	}
	var state *rdb.Reply[string]
	if cluster {
		state = rdb.Text(pipe, "CLUSTER", "INFO")
	}
	_ = pipe.Run() // each command has its own error
	n.infoErr = info.Err()
	n.info = fields(info.Val())
	for i, name := range settingsAsked {
		if v, ok := settings[i].Val()[name]; ok {
			n.config[name] = v
		}
		n.confErr = errors.Join(n.confErr, settings[i].Err())
	}
	if n.confErr != nil {
		n.confErr = settings[0].Err() // the other errors are the same
	}
	if state != nil {
		n.cluster = fields(state.Val())
	}
	return n
}

// askTime compares the clocks, using the quickest of three answers.
func (n *server) askTime(ctx context.Context, master *rdb.Node) error {
	n.within = time.Hour
	for range 3 {
		before := time.Now()
		theirs, err := rdb.Time(master.With(ctx)).Result()
		if err != nil {
			return err
		}
		took := time.Since(before)
		if took/2 < n.within {
			n.skew, n.within = theirs.Sub(before.Add(took/2)), took/2
		}
	}
	return nil
}

// fields reads the "name:value" lines of INFO.
func fields(text string) map[string]string {
	m := map[string]string{}
	for line := range strings.Lines(text) {
		if name, v, ok := strings.Cut(strings.TrimSpace(line), ":"); ok {
			m[name] = v
		}
	}
	return m
}

func (n *server) number(from map[string]string, name string) (int64, bool) {
	v, err := strconv.ParseInt(from[name], 10, 64)
	return v, err == nil
}

// silent is the verdict if INFO or CONFIG is refused, or does not have the answer.
func silent(what string, err error) verdict {
	if err != nil {
		v := notChecked(err)
		v.seen = "could not be checked: " + what + " is refused: " + strings.TrimPrefix(v.seen, "could not be checked: ")
		return v
	}
	return verdict{LevelUnknown, "could not be checked: " + what + " does not say", ""}
}

func (n *server) infoSilent() verdict   { return silent("INFO", n.infoErr) }
func (n *server) configSilent() verdict { return silent("CONFIG GET", n.confErr) }
