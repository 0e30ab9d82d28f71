package daemon

import (
	"log/slog"

	"github.com/solate/medispatcher"
)

// ownFiles are the files that a dispatcher has open beside its requests and the reads of its fan-out: the
// connections of its pool to Redis, the listener and the connections to the panel, logs.
const ownFiles = 64

// FilesNeeded is how many open files a dispatcher needs for so many requests at once.
func FilesNeeded(atOnce, fanoutReads int) int { return atOnce + fanoutReads + ownFiles }

// RaiseFiles says what to do where the limit is too low.
const RaiseFiles = "raise the limit where dispatchers run (ulimit -n, LimitNOFILE= of systemd, --ulimit nofile= of Docker), or lower the concurrency; " +
	"otherwise attempts wait for one another when all subscriptions are busy; such waits do not count as attempts"

// fileLimit warns when the limit of open files becomes too low for the subscriptions. The runtime of Go has
// raised the soft limit to the hard one.
type fileLimit struct {
	fanoutReads int
	log         *slog.Logger

	low bool // and that was logged
}

func (l *fileLimit) apply(subs *medispatcher.Subscriptions) {
	have, need := OpenFiles(), FilesNeeded(subs.AtOnce(), l.fanoutReads)
	low := have < need
	if low && !l.low {
		l.log.Warn("the limit of open files is low for the concurrency of the subscriptions", "limit", have, "needed", need, "do", RaiseFiles)
	}
	l.low = low
}
