package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/solate/medispatcher/cmd/medispatcher/operate"
)

// benchWhere is where the deliveries are that are missing.
type benchWhere struct {
	Ready    int64 `json:"ready"`
	Buried   int64 `json:"buried"` // includes Retrying
	Retrying int64 `json:"retrying"`
	Dead     int64 `json:"dead"`
	Incoming int64 `json:"incoming"` // messages of everybody that are not fanned out
	// LastError is that of a message that failed.
	LastError string `json:"last_error,omitempty"`
}

// whatIsMissing is an error that says what did not arrive, where it is, and what that is
// likely to mean.
func (b *bench) whatIsMissing(ctx context.Context, report *benchReport) error {
	ctx, cancel := context.WithTimeout(ctx, stepWithin)
	defer cancel()
	lines := []string{fmt.Sprintf("%d of %d deliveries did not arrive, and none did for %s", report.Missing, report.Expected, b.flags.wait+b.flags.delay)}
	where, held, err := b.where(ctx)
	if err != nil {
		return errors.Join(errors.New(lines[0]), b.explain(err))
	}
	report.Where = where
	lines[0] += fmt.Sprintf(": %d READY, %d BURIED (%d of them retrying), %d DEAD", where.Ready, where.Buried, where.Retrying, where.Dead)
	if where.Incoming > 0 {
		lines = append(lines, fmt.Sprintf("%s not fanned out yet: do the dispatchers have the same MEDIS_PARTITIONS=%d and MEDIS_KEY_PREFIX=%s? See medispatcher status",
			counted(where.Incoming, "message"), b.cfg.Partitions, b.cfg.KeyPrefix))
	}
	if where.LastError != "" {
		lines = append(lines, "a message failed last with: "+clean(where.LastError))
	}
	if len(held) > 0 {
		lines = append(lines, "held back by the breaker of "+strings.Join(held, ", ")+": the receiver failed too often")
	}
	if hosts := b.remote(); len(hosts) > 0 {
		lines = append(lines, "the likely cause: "+b.unreachable(hosts))
	}
	return errors.New(strings.Join(lines, "\n"))
}

// where looks where the missing messages are, and which dispatchers hold them back.
func (b *bench) where(ctx context.Context) (*benchWhere, []string, error) {
	w := &benchWhere{}
	ids := b.run.IDs()
	channels, err := b.store.ChannelStatus(ctx, ids)
	if err != nil {
		return nil, nil, err
	}
	for _, c := range channels {
		w.Ready, w.Buried, w.Retrying, w.Dead = w.Ready+c.Ready, w.Buried+c.Buried, w.Retrying+c.Retrying, w.Dead+c.Dead
	}
	incoming, err := b.store.IncomingStatus(ctx)
	if err != nil {
		return nil, nil, err
	}
	w.Incoming = incoming.Ready + incoming.Buried
	if w.LastError, err = b.lastError(ctx, ids); err != nil {
		return nil, nil, err
	}
	var held []string
	dispatchers, err := operate.Dispatchers(ctx, b.store)
	for _, d := range dispatchers {
		for _, h := range d.Held {
			if d.Alive && strings.HasPrefix(h.Subscription, b.run.Name()+"-") {
				held = append(held, clean(d.ID))
				break
			}
		}
	}
	return w, held, err
}

// lastError is that of a message that is tried again, or of a dead letter.
func (b *bench) lastError(ctx context.Context, ids []string) (string, error) {
	for _, id := range ids {
		failing, err := b.store.Failing(ctx, id, 1)
		if err != nil {
			return "", err
		}
		for _, f := range failing {
			return f.Failure.LastError, nil
		}
		letters, err := b.store.DeadLetters(ctx, id, "", 1)
		if err != nil {
			return "", err
		}
		for _, l := range letters {
			if l.Failure != nil {
				return l.Failure.LastError, nil
			}
		}
	}
	return "", nil
}
