package panel

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/solate/medispatcher"
)

type removeInput struct {
	request
	ID      string `path:"id" doc:"The subscription's id" example:"billing"`
	IfMatch string `header:"If-Match" doc:"The ETag that the subscription must have, in quotes"`
	Purge   bool   `query:"purge" doc:"Discard its messages and dead letters"`
}

func (a *api) removeRoute(path string) {
	route(a, huma.Operation{
		OperationID: "delete-subscription", Method: http.MethodDelete, Path: path,
		Summary: "Remove a subscription", Tags: []string{tagSubscriptions},
		Description: "Refused while its channel holds messages or it has dead letters, unless ?purge=true.",
		Errors:      []int{http.StatusNotFound, http.StatusConflict, http.StatusPreconditionFailed, http.StatusServiceUnavailable},
	}, nil, a.remove)
}

// remove takes the subscription off the registry first: nothing is routed to its keys
// any more when they are discarded. Should the second step fail, repeating the request
// with ?purge=true ends it.
func (a *api) remove(ctx context.Context, in *removeInput) (*struct{}, error) {
	ctx, cancel := detached(ctx)
	defer cancel()
	rev, err := a.precondition(ctx, &in.request, in.ID)
	if err != nil {
		return nil, failed(err)
	}
	_, _, err = a.registry.Get(ctx, in.ID)
	gone := errors.Is(err, medispatcher.ErrNotFound)
	if gone && (!in.Purge || rev != "" || medispatcher.CheckSubscriptionID(in.ID) != nil) {
		return nil, failed(err)
	}
	var unusable medispatcher.Problems
	if err != nil && !gone && !errors.As(err, &unusable) { // what cannot be read can still be removed
		return nil, failed(err)
	}
	held, statusErr := a.holds(ctx, in.ID)
	switch {
	case statusErr != nil:
		return nil, failed(statusErr)
	case gone && held == "":
		return nil, failed(err)
	case held != "" && !in.Purge:
		return nil, problem(http.StatusConflict, fmt.Sprintf(
			"subscription %q still has %s; wait until they are settled, or repeat with ?purge=true to discard them", in.ID, held))
	}
	if !gone {
		if err := a.registry.Remove(ctx, in.ID, rev); err != nil {
			return nil, failed(err)
		}
	}
	if err := a.store.Discard(ctx, in.ID); err != nil {
		return nil, unavailable("the subscription is removed, but its messages are not discarded yet; repeat with ?purge=true", err)
	}
	return nil, nil //nolint:nilnil // huma answers 204
}

// holds says how much of what a subscription still has, "" for nothing.
func (a *api) holds(ctx context.Context, id string) (string, error) {
	counts, err := a.store.ChannelStatus(ctx, []string{id})
	if err != nil || len(counts) == 0 {
		return "", err
	}
	c := counts[0]
	if c.Ready+c.Buried+c.Dead == 0 {
		return "", nil
	}
	return fmt.Sprintf("%d READY, %d BURIED and %d DEAD messages", c.Ready, c.Buried, c.Dead), nil
}
