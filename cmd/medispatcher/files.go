package main

import (
	"fmt"
	"log/slog"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/streams/doctor"
)

// ownFiles is what a dispatcher has open beside its requests and the reads of its fan-out: the connections
// of its pool to Redis, the listener and who looks at the panel, logs.
const ownFiles = 64

// filesNeeded is how many open files a dispatcher needs that makes so many requests at once.
func filesNeeded(atOnce, fanoutReads int) int { return atOnce + fanoutReads + ownFiles }

const raiseFiles = "raise the limit where dispatchers run (ulimit -n, LimitNOFILE= of systemd, --ulimit nofile= of Docker), or lower the concurrency; " +
	"without that attempts wait for one another, uncounted, when all subscriptions are busy"

// filesFinding compares the limit of open files with what all subscriptions may need together.
func filesFinding(atOnce, fanoutReads int) doctor.Finding {
	const check = "open files"
	have, need := openFiles(), filesNeeded(atOnce, fanoutReads)
	seen := fmt.Sprintf("the limit of this process is %d; a dispatcher needs %d when all subscriptions are busy (%d requests)", have, need, atOnce)
	if have < need {
		return configFinding(check, doctor.LevelWarning, seen, raiseFiles)
	}
	return configFinding(check, doctor.LevelOK, seen, "")
}

// fileLimit warns when the limit of open files becomes too low for the subscriptions. The runtime of Go has
// raised the soft limit to the hard one.
type fileLimit struct {
	fanoutReads int
	log         *slog.Logger

	low bool // and that was logged
}

func (l *fileLimit) apply(subs map[string]medispatcher.Subscription) {
	atOnce := 0
	for _, sub := range subs {
		atOnce += sub.AtOnce()
	}
	have, need := openFiles(), filesNeeded(atOnce, l.fanoutReads)
	low := have < need
	if low && !l.low {
		l.log.Warn("the limit of open files is low for the concurrency of the subscriptions", "limit", have, "needed", need, "do", raiseFiles)
	}
	l.low = low
}
