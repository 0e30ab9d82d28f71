package doctor

import (
	"fmt"
	"strings"
)

func (n *server) eviction() verdict {
	policy := n.info["maxmemory_policy"]
	if policy == "" {
		policy = n.config["maxmemory-policy"]
	}
	evicted, _ := n.number(n.info, "evicted_keys")
	since := ""
	if evicted > 0 {
		since = fmt.Sprintf(", and %s evicted since it started", wereKeys(evicted))
	}
	const do = "CONFIG SET maxmemory-policy noeviction, and in redis.conf"
	switch {
	case policy == "":
		return n.infoSilent()
	case policy == "noeviction" && evicted > 0:
		return verdict{LevelWarning, "noeviction" + since + " under another policy", "compare with what producers sent: messages may be missing"}
	case policy == "noeviction":
		return verdict{LevelOK, "noeviction", ""}
	case strings.HasPrefix(policy, "volatile-"):
		return verdict{LevelWarning, policy + since + ": remembered message ids and counts may be evicted, so duplicates may get through", do}
	}
	return verdict{LevelProblem, policy + since + ": when memory runs out, Redis deletes whole channels with their messages", do}
}

func wereKeys(n int64) string {
	if n == 1 {
		return "1 key was"
	}
	return fmt.Sprintf("%d keys were", n)
}

func (n *server) memory() verdict {
	used, ok := n.number(n.info, "used_memory")
	if !ok {
		return n.infoSilent()
	}
	limit, _ := n.number(n.info, "maxmemory")
	of := "maxmemory"
	if limit == 0 {
		limit, _ = n.number(n.info, "total_system_memory")
		of = "the machine's memory, no maxmemory set"
	}
	if limit == 0 {
		return verdict{LevelOK, mebibytes(used) + " used, no maxmemory set", ""}
	}
	share := used * 100 / limit
	seen := fmt.Sprintf("%s, %d %% of %s", mebibytes(used), share, of)
	const do = "give Redis more memory, or deliver or purge waiting messages: medispatcher status"
	switch {
	case share >= 95:
		return verdict{LevelProblem, seen + ": when it is full, publishing and fan-out stop", do}
	case share >= 75:
		return verdict{LevelWarning, seen, do}
	}
	return verdict{LevelOK, seen, ""}
}

func mebibytes(n int64) string { return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20)) }

func (n *server) persistence() verdict {
	const on = "CONFIG SET appendonly yes, and in redis.conf"
	save, known := n.config["save"]
	switch aof := n.info["aof_enabled"]; {
	case aof == "":
		return n.infoSilent()
	case aof == "1":
		return n.appendOnly()
	case known && save == "":
		return verdict{LevelProblem, "neither AOF nor RDB: a restart of Redis loses all messages and subscriptions", on}
	case known:
		return verdict{LevelWarning, fmt.Sprintf("RDB only (save %s): a crash loses everything after the last snapshot, now %s changes", save, n.info["rdb_changes_since_last_save"]), on}
	}
	return verdict{LevelWarning, "no AOF: a crash loses at least everything after the last snapshot; snapshots could not be checked", on}
}

func (n *server) appendOnly() verdict {
	if n.info["aof_last_write_status"] == "err" {
		return verdict{LevelProblem, "AOF: the last write failed, Redis refuses writes (MISCONF)", "see the log of Redis and free space on its disk; it then accepts writes by itself"}
	}
	if n.info["aof_last_bgrewrite_status"] == "err" {
		return verdict{LevelWarning, "AOF: the last rewrite failed, the file grows", "free space on the disk of Redis, and memory to fork, then run BGREWRITEAOF"}
	}
	switch fsync := n.config["appendfsync"]; fsync {
	case "":
		return verdict{LevelOK, "AOF; appendfsync could not be checked", ""}
	case "always":
		return verdict{LevelOK, "AOF, appendfsync always: accepted messages survive a crash of the machine", ""}
	case "everysec":
		return verdict{LevelOK, "AOF, appendfsync everysec: a crash of the machine may lose the last second", ""}
	default:
		return verdict{LevelWarning, "AOF, appendfsync " + fsync + ": a crash of the machine may lose the last half minute", "CONFIG SET appendfsync everysec, and in redis.conf"}
	}
}

// snapshots: by default, Redis refuses all writes after a failed snapshot, even with AOF.
func (n *server) snapshots() verdict {
	switch status := n.info["rdb_last_bgsave_status"]; {
	case status == "":
		return n.infoSilent()
	case status == "ok":
		return verdict{LevelOK, "the last one succeeded, or none was made", ""}
	case n.config["stop-writes-on-bgsave-error"] == "no" || n.config["save"] == "" && n.confErr == nil:
		return verdict{LevelWarning, "the last one failed", "see the log of Redis: the disk may be full, or memory too short to fork"}
	}
	return verdict{LevelProblem, "the last one failed: Redis refuses writes (MISCONF)", "see the log of Redis: the disk may be full, or memory too short to fork; then run BGSAVE"}
}
