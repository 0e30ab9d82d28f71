package doctor

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/solate/medispatcher"
)

// serverChecks are the checks of each master, in the order they are shown.
var serverChecks = []struct {
	check string
	judge func(*server) verdict
}{
	{"version", (*server).version},
	{"role", (*server).role},
	{"replicas", (*server).replicas},
	{"loading", (*server).loading},
	{"eviction", (*server).eviction},
	{"memory", (*server).memory},
	{"persistence", (*server).persistence},
	{"snapshots", (*server).snapshots},
	{"connections", (*server).connections},
	{"idle timeout", (*server).idleTimeout},
	{"reply limit", (*server).replyLimit},
	{"cluster", (*server).clusterState},
	{"clock", (*server).clock},
}

// version: streams came with Redis 5.0, and a few commands, such as ZMSCORE, with 6.2. Tests run on 7.0 and later.
func (n *server) version() verdict {
	v := n.info["redis_version"]
	if v == "" {
		return n.infoSilent()
	}
	name := "Redis " + v
	for field, fork := range map[string]string{"valkey_version": "Valkey", "dragonfly_version": "Dragonfly"} {
		if n.info[field] != "" {
			name = fmt.Sprintf("%s %s, which says it is Redis %s", fork, n.info[field], v)
		}
	}
	major, minor := 0, 0
	if _, err := fmt.Sscanf(v, "%d.%d", &major, &minor); err != nil {
		return verdict{LevelUnknown, fmt.Sprintf("could not be checked: version %q", v), ""}
	}
	switch {
	case major < 6 || major == 6 && minor < 2:
		return verdict{LevelProblem, name + ": too old, it lacks commands that medispatcher uses, such as ZMSCORE (6.2)", "upgrade to Redis 7.0 or later"}
	case major < 7:
		return verdict{LevelWarning, name + ": it has every command that medispatcher uses, but medispatcher is not tested on it", "upgrade to Redis 7.0 or later"}
	}
	return verdict{LevelOK, name, ""}
}

func (n *server) role() verdict {
	switch role := n.info["role"]; role {
	case "":
		return n.infoSilent()
	case "master":
		return verdict{LevelOK, "master", ""}
	default:
		return verdict{LevelProblem, "it is a replica of " + n.info["master_host"] + ":" + n.info["master_port"] + ": every write fails (READONLY)",
			"name the master in MEDIS_REDIS_URL, or let Sentinel find it (?master_name=)"}
	}
}

func (n *server) replicas() verdict {
	connected, ok := n.number(n.info, "connected_slaves")
	if !ok {
		return n.infoSilent()
	}
	least, known := n.number(n.config, "min-replicas-to-write")
	good, counted := n.number(n.info, "min_slaves_good_slaves") // only there if min-replicas-to-write is set
	switch {
	case known && least > 0 && counted && good < least:
		return verdict{LevelProblem, fmt.Sprintf("min-replicas-to-write is %d and %d replicas keep up: every write is refused (NOREPLICAS)", least, good),
			"repair the replicas, or lower min-replicas-to-write"}
	case known && least > 0:
		return verdict{LevelOK, fmt.Sprintf("%d, min-replicas-to-write %d", connected, least), ""}
	case connected > 0:
		return verdict{LevelOK, fmt.Sprintf("%d; a failover loses what was not replicated yet (min-replicas-to-write 1 limits that)", connected), ""}
	}
	return verdict{LevelOK, "none: messages are on this server only", ""}
}

func (n *server) loading() verdict {
	switch n.info["loading"] {
	case "":
		return n.infoSilent()
	case "0":
		return verdict{LevelOK, "its data is loaded", ""}
	}
	return verdict{LevelProblem, "it is loading its data and refuses commands (LOADING)", "wait; dispatchers continue by themselves"}
}

func (n *server) connections() verdict {
	now, ok := n.number(n.info, "connected_clients")
	most, okMost := n.number(n.info, "maxclients")
	if !ok || !okMost || most == 0 {
		return n.infoSilent()
	}
	seen := fmt.Sprintf("%d of %d (maxclients)", now, most)
	if now*10 >= most*8 {
		return verdict{LevelWarning, seen + ": a new dispatcher may be refused", "raise maxclients, or find out which clients have so many connections"}
	}
	return verdict{LevelOK, seen, ""}
}

// idleTimeout: Redis does not close connections that are blocked or subscribed. Only idle ones of the
// pool are closed, and the heartbeats of a dispatcher keep those busy.
func (n *server) idleTimeout() verdict {
	v, ok := n.number(n.config, "timeout")
	switch {
	case !ok:
		return n.configSilent()
	case v == 0:
		return verdict{LevelOK, "off", ""}
	case v < 60:
		return verdict{LevelWarning, fmt.Sprintf("timeout is %d s: Redis closes idle connections, and dispatchers open new ones all the time", v), "set timeout to 0, or to 300 or more"}
	}
	return verdict{LevelOK, fmt.Sprintf("timeout %d s, which does not close blocked reads and pub/sub", v), ""}
}

// leastReply is the smallest limit, in bytes, that is high enough for every answer with messages.
const leastReply = 64 << 20

// replyLimit: Redis closes a connection whose answer is longer, and a read that is repeated may meet that for ever.
func (n *server) replyLimit() verdict {
	limits := strings.Fields(n.config["client-output-buffer-limit"])
	at := slices.Index(limits, "normal") + 1
	if at == 0 || len(limits) < at+3 {
		return n.configSilent()
	}
	for _, limit := range limits[at : at+2] { // hard and soft
		if v, err := strconv.ParseInt(limit, 10, 64); err == nil && v > 0 && v < leastReply {
			return verdict{LevelWarning, fmt.Sprintf("client-output-buffer-limit is normal %s: Redis closes connections whose answers are longer, which stops the reading of large messages", medispatcher.Size(v)),
				`set it to "normal 0 0 0"`}
		}
	}
	return verdict{LevelOK, "client-output-buffer-limit lets answers with messages through", ""}
}

func (n *server) clusterState() verdict {
	state := n.cluster["cluster_state"]
	failing, _ := n.number(n.cluster, "cluster_slots_fail")
	suspect, _ := n.number(n.cluster, "cluster_slots_pfail")
	switch {
	case state == "":
		return silent("CLUSTER INFO", nil)
	case state != "ok":
		return verdict{LevelProblem, fmt.Sprintf("cluster_state is %s, %d of 16384 slots covered: it refuses commands (CLUSTERDOWN)", state, 16384-failing-missing(n.cluster)),
			"see redis-cli CLUSTER NODES; bring the lost master or its replica back"}
	case failing+suspect > 0:
		return verdict{LevelProblem, fmt.Sprintf("%d slots belong to masters that do not answer", failing+suspect), "see redis-cli CLUSTER NODES"}
	case n.config["cluster-require-full-coverage"] == "yes":
		return verdict{LevelOK, "cluster_state ok; one lost slot stops all partitions (cluster-require-full-coverage yes)", ""}
	}
	return verdict{LevelOK, "cluster_state ok", ""}
}

func missing(cluster map[string]string) int64 {
	assigned, err := strconv.ParseInt(cluster["cluster_slots_assigned"], 10, 64)
	if err != nil {
		return 0
	}
	return 16384 - assigned
}

const (
	// skewWarn is far above what NTP leaves. skewBad is well below the five minutes at which a
	// Standard Webhooks subscriber refuses a signature.
	skewWarn = 2 * time.Second
	skewBad  = 2 * time.Minute
)

func (n *server) clock() verdict {
	by, size := "ahead of", n.skew
	if n.skew < 0 {
		by, size = "behind", -n.skew
	}
	if size <= skewWarn+n.within {
		return verdict{LevelOK, "same as this machine's, within " + medispatcher.RoughDuration(max(skewWarn/20, (size+n.within).Truncate(100*time.Millisecond))), ""}
	}
	seen := fmt.Sprintf("%s %s this machine's", medispatcher.RoughDuration(size.Round(100*time.Millisecond)), by)
	do := "run NTP on both: entry ids are by Redis's clock, webhook-timestamp by the dispatcher's"
	if size > skewBad+n.within {
		return verdict{LevelProblem, seen + ": subscribers refuse signatures that are five minutes off", do}
	}
	return verdict{LevelWarning, seen, do}
}
