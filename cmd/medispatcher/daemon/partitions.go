package daemon

import (
	"log/slog"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/streams"
)

// partitionWatcher tells when dispatchers disagree about MEDIS_PARTITIONS, or when this one has to be started again to work on
// partitions that others have begun to use.
type partitionWatcher struct {
	info  medispatcher.Dispatcher
	store *streams.Store
	log   *slog.Logger

	spread map[string]int // of the others, as last told
	all    int            // as last told
}

// heard takes the list of dispatchers.
func (w *partitionWatcher) heard(all []medispatcher.Dispatcher) {
	spread := map[string]int{}
	for _, d := range all {
		if !d.Alive || d.Spread == 0 || d.Spread == w.info.Spread {
			continue
		}
		spread[d.ID] = d.Spread
		if w.spread[d.ID] != d.Spread {
			w.log.Warn("another dispatcher has another MEDIS_PARTITIONS: messages of one key may go to two partitions, and lose their order; set the same for all, and for producers",
				"here", w.info.Spread, "there", d.Spread, "dispatcher", d.ID)
		}
	}
	w.spread = spread
	if n := w.store.Partitions(); n > w.info.Partitions && n != w.all {
		w.all = n
		w.log.Warn("there are more partitions than this dispatcher works on: others use them; start it again",
			"partitions", n, "works_on", w.info.Partitions)
	}
}
