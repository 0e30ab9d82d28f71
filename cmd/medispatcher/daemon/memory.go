package daemon

import (
	"log/slog"
	"math"
	"os"
	"runtime/debug"

	"github.com/KimMachineGun/automemlimit/memlimit"

	"github.com/solate/medispatcher/cmd/internal/config"
)

const (
	// heapShare of the memory limit of the container is what the Go runtime may take. The rest is for what it does not count,
	// above all the buffers of sockets, which hold what a hanging worker does not read.
	heapShare = 0.8
	// inflightShare of the memory limit is the budget of message bodies, and defaultInflight where there is no limit. The
	// garbage collector lets memory double, and what surprises by its size may once be as much again.
	inflightShare   = 4
	defaultInflight = 512 << 20
)

// memory is what this process may use.
type memory struct {
	limit  int64       // of the container, or GOMEMLIMIT; 0: none
	bodies config.Size // MEDIS_MAX_INFLIGHT in force
}

// limitMemory tells the Go runtime the memory limit of the container, unless GOMEMLIMIT is set, and works out the budget of bodies.
func limitMemory(cfg *config.Config, log *slog.Logger) memory {
	var m memory
	heap, err := memlimit.Set(memlimit.WithRatio(heapShare))
	if err != nil {
		log.Debug("the memory limit of the container is not known", "error", err)
		heap = debug.SetMemoryLimit(-1)
	}
	if _, byHand := os.LookupEnv("GOMEMLIMIT"); byHand {
		m.limit = heap
	} else if limit, err := memlimit.FromCgroup(); err == nil && limit < math.MaxInt64 {
		m.limit = int64(limit)
	}
	if m.limit == math.MaxInt64 { // GOMEMLIMIT=off
		m.limit = 0
	}
	switch {
	case cfg.MaxInflight > 0:
		m.bodies = cfg.MaxInflight
	case m.limit > 0:
		m.bodies = config.Size(max(1, m.limit/inflightShare))
	default:
		m.bodies = defaultInflight
	}
	attrs := []any{"bodies", m.bodies.String()}
	if m.limit > 0 {
		attrs = append(attrs, "limit", config.Size(m.limit).String(), "go_runtime", config.Size(heap).String())
	}
	log.Info("memory", attrs...)
	if m.bodies < config.RoomyInflight*cfg.MaxBody {
		log.Warn("few of the largest messages fit into memory: those are pushed one at a time, whoever they are for",
			"max_inflight", m.bodies.String(), "max_body", cfg.MaxBody.String())
	}
	return m
}
