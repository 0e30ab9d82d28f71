package daemon

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/amender"
	"github.com/solate/medispatcher/streams"
)

// kicker is how the API kicks a subscription.
type kicker struct {
	store   *streams.Store
	hearing *hearing
	log     *slog.Logger
}

// Kick makes the retries of a subscription due now, and gives back what dead dispatchers left.
func (k kicker) Kick(ctx context.Context, sub string) (int, error) {
	if k.hearing.late(time.Now()) {
		// Redis may have been away: every heartbeat would look too old.
		return 0, errors.New("the heartbeat of this dispatcher is late, so it cannot say who is dead")
	}
	report, err := amender.Run(ctx, k.store, amender.Options{Partitions: k.store.Partitions(), Subs: []string{sub}, Idle: true, Force: true})
	k.log.Info("kicked", "subscription", sub, "by", medispatcher.Actor(ctx), "count", report.GivenBack())
	return report.GivenBack(), err
}
