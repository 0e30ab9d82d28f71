package daemon

import (
	"log/slog"
	"math"
	"os"
	"runtime/debug"

	"github.com/KimMachineGun/automemlimit/memlimit"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/cmd/internal/config"
)

const (
	// heapShare of the memory limit of the container is what the Go runtime may take. The rest is for what the runtime does
	// not count, above all the buffers of sockets, which hold what a hanging worker does not read.
	heapShare = 0.8
	// Bodies may take 1/inflightShare of the memory limit, or defaultInflight if there is no limit: the garbage
	// collector lets memory double, and an unexpectedly large read may once take as much again.
	inflightShare   = 4
	defaultInflight = 512 << 20
)

// limitMemory tells the Go runtime the memory limit of the container, unless GOMEMLIMIT is set, and returns how
// many bytes of message bodies this process may hold: MEDIS_MAX_INFLIGHT, or a part of the limit.
func limitMemory(cfg *config.Config, log *slog.Logger) (bodies medispatcher.Size) {
	heap, err := memlimit.Set(memlimit.WithRatio(heapShare))
	if err != nil {
		log.Debug("the memory limit of the container is not known", "error", err)
		heap = debug.SetMemoryLimit(-1)
	}
	limit := int64(0) // of the container, or GOMEMLIMIT; 0: none
	if _, byHand := os.LookupEnv("GOMEMLIMIT"); byHand {
		limit = heap
	} else if container, err := memlimit.FromCgroup(); err == nil && container < math.MaxInt64 {
		limit = int64(container)
	}
	if limit == math.MaxInt64 { // GOMEMLIMIT=off
		limit = 0
	}
	switch {
	case cfg.MaxInflight > 0:
		bodies = cfg.MaxInflight
	case limit > 0:
		bodies = medispatcher.Size(max(1, limit/inflightShare))
	default:
		bodies = defaultInflight
	}
	attrs := []any{"bodies", bodies.String()}
	if limit > 0 {
		attrs = append(attrs, "limit", medispatcher.Size(limit).String(), "go_runtime", medispatcher.Size(heap).String())
	}
	log.Info("memory", attrs...)
	if bodies < config.RoomyInflight*cfg.MaxBody {
		log.Warn("few of the largest messages fit into memory: they are pushed one at a time, over all subscriptions",
			"max_inflight", bodies.String(), "max_body", cfg.MaxBody.String())
	}
	return bodies
}
