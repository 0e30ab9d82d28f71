package api

import (
	"context"
	"errors"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/solate/medispatcher/cmd/internal/access"
	"github.com/solate/medispatcher/cmd/medispatcher/operate"
	"github.com/solate/medispatcher/cmd/medispatcher/panel/problem"
)

type removeInput struct {
	request
	ID      string `path:"id" doc:"The subscription's id" example:"billing"`
	IfMatch string `header:"If-Match" doc:"The ETag that the subscription must have, in quotes"`
	Purge   bool   `query:"purge" doc:"Discard its messages and dead letters as well"`
}

func (a *api) removeRoute(path string) {
	route(a, access.Admin, huma.Operation{
		OperationID: "delete-subscription", Method: http.MethodDelete, Path: path,
		Summary: "Remove a subscription", Tags: []string{tagSubscriptions},
		Description: "Refused while its channel holds messages or it has dead letters, unless ?purge=true. " +
			"Messages that arrive while it is being removed are kept, and the answer is 409.",
		Errors: []int{http.StatusNotFound, http.StatusConflict, http.StatusPreconditionFailed, http.StatusServiceUnavailable},
	}, nil, a.remove)
}

func (a *api) remove(ctx context.Context, in *removeInput) (*struct{}, error) {
	ctx, cancel := detached(ctx)
	defer cancel()
	rev, err := a.precondition(ctx, &in.request, in.ID)
	if err != nil {
		return nil, err
	}
	_, err = operate.Remove(ctx, a.Registry, a.Store, in.ID, rev, in.Purge)
	holds, isHeld := errors.AsType[*operate.NotEmptyError](err)
	leftover, isLeft := errors.AsType[*operate.LeftoverError](err)
	switch {
	case err == nil:
		return nil, nil //nolint:nilnil // huma answers 204
	case isLeft:
		return nil, unavailable(leftover.Error()+" discarded yet; repeat with ?purge=true", leftover.Cause)
	case !isHeld:
		return nil, notDone(in.ID, rev, err)
	case holds.Unknown:
		return nil, problem.New(http.StatusNotFound, err.Error()+"; ?purge=true discards them")
	case holds.Removed:
		return nil, problem.New(http.StatusConflict, err.Error()+"; PUT it again to deliver them, or repeat with ?purge=true to discard them")
	}
	return nil, problem.New(http.StatusConflict, err.Error()+"; wait until they are settled, or repeat with ?purge=true to discard them")
}

// known returns a problem document when there is no such subscription and nothing left of one.
func (a *api) known(ctx context.Context, id string) error {
	if err := operate.Known(ctx, a.Registry, a.Store, id); err != nil {
		return failed(err)
	}
	return nil
}
