package api

import (
	"context"
	"fmt"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/cmd/internal/access"
	"github.com/solate/medispatcher/cmd/medispatcher/operate"
)

// Kicker makes the retries of a subscription due now, and gives back what crashed dispatchers
// left in its channel. It returns the number of messages, also with an error.
type Kicker interface {
	Kick(ctx context.Context, id string) (int, error)
}

type purged struct {
	Ready  int64 `json:"ready" doc:"Messages that no dispatcher had read"`
	Buried int64 `json:"buried" doc:"Messages that were in flight or waited for their next attempt"`
}

type purgedOutput struct{ Body purged }

type kicked struct {
	Kicked int    `json:"kicked" doc:"Messages that became due or were given back"`
	Held   string `json:"held,omitempty" doc:"What holds them back nevertheless; absent when nothing does" enum:"paused,breaker_open"`
}

type kickedOutput struct{ Body kicked }

func (a *api) channelRoutes() {
	const path = Prefix + "/subscriptions/{id}"
	errs := []int{http.StatusNotFound, http.StatusServiceUnavailable}
	route(a, access.Operator, huma.Operation{
		OperationID: "purge-subscription", Method: http.MethodPost, Path: path + "/purge",
		Summary: "Purge the messages of a subscription", Tags: []string{tagSubscriptions},
		Description: "Removes READY and BURIED messages for good; dead letters stay. Requests in flight are finished. " +
			"Also empties what is left of a subscription that was removed.",
		Errors: errs, Responses: ok("200", "How many were removed", purged{Ready: 120, Buried: 8}),
	}, nil, a.purge)
	route(a, access.Operator, huma.Operation{
		OperationID: "kick-subscription", Method: http.MethodPost, Path: path + "/kick",
		Summary: "Retry now what waits for its next attempt", Tags: []string{tagSubscriptions},
		Description: "Messages that wait for their next attempt become due, and what crashed dispatchers left is given back. " +
			"What a living dispatcher has in flight is not touched. A paused subscription or an open breaker still holds them back.",
		Errors: errs, Responses: ok("200", "How many", kicked{12, medispatcher.BreakerOpen}),
	}, nil, a.kick)
}

func (a *api) purge(ctx context.Context, in *idInput) (*purgedOutput, error) {
	ctx, cancel := detached(ctx)
	defer cancel()
	if err := a.known(ctx, in.ID); err != nil {
		return nil, err
	}
	ready, buried, err := a.Store.Purge(ctx, in.ID)
	if err != nil {
		return nil, unavailable(fmt.Sprintf("%d READY and %d BURIED messages were purged, not all of them", ready, buried), err)
	}
	a.Log.Info("channel purged", "subscription", in.ID, "by", medispatcher.Actor(ctx), "ready", ready, "buried", buried)
	return &purgedOutput{purged{ready, buried}}, nil
}

func (a *api) kick(ctx context.Context, in *idInput) (*kickedOutput, error) {
	ctx, cancel := detached(ctx)
	defer cancel()
	if err := a.known(ctx, in.ID); err != nil {
		return nil, err
	}
	n, err := a.Kicker.Kick(ctx, in.ID)
	if err != nil {
		return nil, unavailable(fmt.Sprintf("%d messages were kicked, not all of them", n), err)
	}
	held, err := operate.HeldBack(ctx, a.Registry, a.Store, in.ID)
	if err != nil {
		a.Log.Warn("it is unknown whether kicked messages are held back", "subscription", in.ID, "error", err)
	}
	return &kickedOutput{kicked{n, held}}, nil
}
