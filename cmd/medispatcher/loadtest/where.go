package loadtest

import (
	"context"
	"strings"

	"github.com/solate/medispatcher/cmd/medispatcher/operate"
)

// Where says where the deliveries are that are missing.
type Where struct {
	Ready    int64 `json:"ready"`
	Buried   int64 `json:"buried"` // includes Retrying
	Retrying int64 `json:"retrying"`
	Dead     int64 `json:"dead"`
	Incoming int64 `json:"incoming"` // messages of everybody that are not fanned out
	// LastError is that of one message that failed.
	LastError string `json:"last_error,omitempty"`

	// HeldBy are the dispatchers whose breaker holds a subscription of the run back.
	HeldBy []string `json:"-"`
}

// Where looks for what did not arrive.
func (t *Test) Where(ctx context.Context) (*Where, error) {
	w := &Where{}
	ids := t.Run.IDs()
	channels, err := t.store.ChannelStatus(ctx, ids)
	if err != nil {
		return nil, err
	}
	for _, c := range channels {
		w.Ready, w.Buried, w.Retrying, w.Dead = w.Ready+c.Ready, w.Buried+c.Buried, w.Retrying+c.Retrying, w.Dead+c.Dead
	}
	incoming, err := t.store.IncomingStatus(ctx)
	if err != nil {
		return nil, err
	}
	w.Incoming = incoming.Ready + incoming.Buried
	if w.LastError, err = t.lastError(ctx, ids); err != nil {
		return nil, err
	}
	dispatchers, err := operate.Dispatchers(ctx, t.store)
	if err != nil {
		return nil, err
	}
	for _, d := range dispatchers {
		for _, h := range d.Held {
			if d.Alive && strings.HasPrefix(h.Subscription, t.Run.Name()+"-") {
				w.HeldBy = append(w.HeldBy, d.ID)
				break
			}
		}
	}
	return w, nil
}

// lastError is that of a message that is retrying, or of a dead letter.
func (t *Test) lastError(ctx context.Context, ids []string) (string, error) {
	for _, id := range ids {
		failing, err := t.store.Failing(ctx, id, 1)
		if err != nil {
			return "", err
		}
		for _, f := range failing {
			return f.Failure.LastError, nil
		}
		letters, err := t.store.DeadLetters(ctx, id, "", 1)
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
