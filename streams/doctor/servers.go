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

// server is what one master tells of itself.
type server struct {
	addr    string
	err     error             // it does not answer
	info    map[string]string // of INFO; empty where it is not told
	config  map[string]string // of CONFIG GET; empty where it is not told
	cluster map[string]string // of CLUSTER INFO; nil: no cluster
	infoErr error
	confErr error
	skew    time.Duration // its clock minus ours
	within  time.Duration // what skew may be wrong by
}

// settingsAsked are the parameters that the checks look at. Each is asked for alone: several
// in one CONFIG GET is new in Redis 7.0.
var settingsAsked = []string{
	"appendfsync", "save", "stop-writes-on-bgsave-error", "min-replicas-to-write", "timeout",
	"proto-max-bulk-len", "maxmemory-policy", "cluster-require-full-coverage",
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
			return verdict{LevelProblem, "does not answer: " + n.err.Error(), "see whether it runs; partitions and subscriptions on it stand still"}
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
	if cluster && d.cfg.Partitions < len(servers) {
		d.add(AreaRedis, "spread", LevelWarning, fmt.Sprintf("%s for %d masters: some masters carry no messages", count(d.cfg.Partitions, "partition"), len(servers)),
			"raise MEDIS_PARTITIONS, in all dispatchers and producers at once, if one master is too busy")
	}
	return nil
}

// judge puts masters of which the same is to be said into one finding.
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

// gatherUnknown makes one finding of all that cannot be told for the same reason.
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
		f.Seen = strings.Replace(f.Seen, "cannot be told", "cannot be told ("+f.Check+")", 1)
		f.Check = "not told"
		kept = append(kept, f)
	}
	d.x.Findings = kept
}

// askServer asks one master. INFO and CONFIG may be refused, which managed ones like to do.
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
		n.confErr = settings[0].Err() // the others say the same
	}
	if state != nil {
		n.cluster = fields(state.Val())
	}
	return n
}

// askTime compares clocks, by the quickest of three answers.
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

// notTold is the verdict on what INFO or CONFIG would say.
func notTold(what string, err error) verdict {
	if err != nil {
		v := cannotTell(err)
		v.seen = "cannot be told: " + what + " is refused: " + strings.TrimPrefix(v.seen, "cannot be told: ")
		return v
	}
	return verdict{LevelUnknown, "cannot be told: " + what + " does not say", ""}
}

func (n *server) infoSilent() verdict   { return notTold("INFO", n.infoErr) }
func (n *server) configSilent() verdict { return notTold("CONFIG GET", n.confErr) }
