package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"

	"github.com/danielgtaylor/huma/v2"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/cmd/internal/access"
	"github.com/solate/medispatcher/cmd/medispatcher/panel/problem"
)

type idInput struct {
	ID string `path:"id" doc:"The subscription's id" example:"billing"`
}

type getInput struct {
	request
	ID          string `path:"id" doc:"The subscription's id" example:"billing"`
	IfNoneMatch string `header:"If-None-Match" doc:"An ETag, in quotes: 304 if it is still the one of what is stored"`
}

type changeInput struct {
	request
	ID      string `path:"id" doc:"The subscription's id" example:"billing"`
	IfMatch string `header:"If-Match" doc:"The ETag that the subscription must have, in quotes; * for any: it must exist"`
}

type putInput struct {
	request
	ID          string `path:"id" doc:"The subscription's id" example:"billing"`
	IfMatch     string `header:"If-Match" doc:"The ETag that the subscription must have, in quotes; * for any: it must exist"`
	IfNoneMatch string `header:"If-None-Match" doc:"*: create it only, 412 if it exists"`
	From        string `query:"from" doc:"Of a new subscription: begin with what the archive holds since so long ago, or since this time" example:"24h"`
}

type subscriptionOutput struct {
	Status int
	ETag   string `header:"ETag" doc:"The subscription's revision, for If-Match"`
	Body   medispatcher.Subscription
}

func (a *api) subscriptionRoutes() {
	const path = Prefix + "/subscriptions"
	a.listRoute(path)
	a.bulkRoutes(path)
	read := ok("200", "The subscription, every field in force, its secret masked", exampleSubscription)
	read["304"] = &huma.Response{Description: "What is stored has the ETag of If-None-Match"}
	route(a, access.Reader, huma.Operation{
		OperationID: "get-subscription", Method: http.MethodGet, Path: path + "/{id}",
		Summary: "Show a subscription", Tags: []string{tagSubscriptions},
		Errors:    []int{http.StatusNotFound, http.StatusServiceUnavailable},
		Responses: read,
	}, nil, a.get)

	written := ok("200", "The subscription as it is now", exampleSubscription)
	written["201"] = &huma.Response{Description: "The subscription was created", Content: map[string]*huma.MediaType{
		"application/json": {Schema: refSubscription, Example: exampleSubscription}}}
	changes := []int{http.StatusBadRequest, http.StatusRequestTimeout, http.StatusConflict, http.StatusPreconditionFailed,
		http.StatusRequestEntityTooLarge, http.StatusServiceUnavailable}
	route(a, access.Admin, huma.Operation{
		OperationID: "put-subscription", Method: http.MethodPut, Path: path + "/{id}",
		Summary: "Create or replace a subscription", Tags: []string{tagSubscriptions}, MaxBodyBytes: maxDocument,
		Description: "Fields that are left out take their defaults. Writing the masked secret keeps the secret. " +
			"Every dispatcher follows within a second. With from, dispatchers send the new subscription what is in the archive, and each message once.",
		Errors: changes, Responses: written,
	}, jsonBody("application/json", refSubscription, exampleDocument), a.put)
	a.putAllRoute(path, append(slices.Clone(changes), http.StatusUnprocessableEntity))
	changes = append(changes, http.StatusNotFound)
	route(a, access.Admin, huma.Operation{
		OperationID: "patch-subscription", Method: http.MethodPatch, Path: path + "/{id}",
		Summary: "Change fields of a subscription", Tags: []string{tagSubscriptions}, MaxBodyBytes: maxDocument,
		Description: "A merge patch (RFC 7396): null resets a field to its default.",
		Errors:      changes, Responses: ok("200", "The subscription as it is now", exampleSubscription),
	}, jsonBody("application/merge-patch+json", refPatch, map[string]any{"concurrency": 32, "interval": "5ms"}), a.patch)
	a.removeRoute(path + "/{id}")

	for _, to := range []struct {
		verb, summary string
		paused        bool
	}{
		{"pause", "Stop pushing to a subscription; its messages wait", true},
		{"resume", "Push to a paused subscription again", false},
	} {
		route(a, access.Operator, huma.Operation{
			OperationID: to.verb + "-subscription", Method: http.MethodPost, Path: path + "/{id}/" + to.verb,
			Summary: to.summary, Tags: []string{tagSubscriptions},
			Errors:    []int{http.StatusNotFound, http.StatusConflict, http.StatusPreconditionFailed, http.StatusServiceUnavailable},
			Responses: ok("200", "The subscription as it is now", exampleSubscription),
		}, nil, func(ctx context.Context, in *changeInput) (*subscriptionOutput, error) {
			return a.merge(ctx, in, pausing(to.paused))
		})
	}
}

func (a *api) get(ctx context.Context, in *getInput) (*subscriptionOutput, error) {
	sub, rev, err := a.Registry.Get(ctx, in.ID)
	if problems, bad := errors.AsType[medispatcher.Problems](err); bad {
		// The request is right: somebody wrote the hash by hand.
		a.Log.Error("the stored document of a subscription is unusable", "subscription", in.ID, "error", err)
		return nil, problem.New(http.StatusInternalServerError, fmt.Sprintf("the stored document of subscription %q is unusable, PUT it again: %s",
			in.ID, problem.Line(problems)))
	}
	if err != nil {
		return nil, failed(err)
	}
	if none, _ := in.ifNoneMatch(); slices.Contains(none, rev) || slices.Contains(none, "*") {
		return shown(http.StatusNotModified, sub, rev), nil
	}
	return shown(http.StatusOK, sub, rev), nil
}

func shown(status int, sub medispatcher.Subscription, rev string) *subscriptionOutput {
	return &subscriptionOutput{Status: status, ETag: etag(rev), Body: sub.Masked()}
}

func (a *api) put(ctx context.Context, in *putInput) (*subscriptionOutput, error) {
	doc, err := in.document()
	if err != nil {
		return nil, err
	}
	ctx, cancel := detached(ctx)
	defer cancel()
	rev, err := a.precondition(ctx, &in.request, in.ID)
	if err != nil {
		return nil, err
	}
	if in.From != "" {
		return a.putFrom(ctx, in, doc, rev)
	}
	sub, now, created, err := a.Registry.Put(ctx, in.ID, doc, rev)
	if err != nil {
		return nil, notDone(in.ID, rev, err)
	}
	rev = now
	if created {
		return shown(http.StatusCreated, sub, rev), nil
	}
	return shown(http.StatusOK, sub, rev), nil
}

func (a *api) patch(ctx context.Context, in *changeInput) (*subscriptionOutput, error) {
	patch, err := in.document()
	if err != nil {
		return nil, err
	}
	return a.merge(ctx, in, patch)
}

func (a *api) merge(ctx context.Context, in *changeInput, patch []byte) (*subscriptionOutput, error) {
	ctx, cancel := detached(ctx)
	defer cancel()
	rev, err := a.precondition(ctx, &in.request, in.ID)
	if err != nil {
		return nil, err
	}
	sub, now, err := a.Registry.Patch(ctx, in.ID, patch, rev)
	if err != nil {
		return nil, notDone(in.ID, rev, err)
	}
	return shown(http.StatusOK, sub, now), nil
}

// precondition is the one revision that the registry compares, taken from an If-Match or If-None-Match header; "" when
// there is none. Of several it takes the one that holds now; the registry compares it again when it writes. The error is a
// problem document.
func (a *api) precondition(ctx context.Context, q *request, id string) (string, error) {
	revisions, given := q.ifMatch()
	none, forbidden := q.ifNoneMatch()
	switch {
	case given && forbidden:
		return "", problem.Invalid(medispatcher.Problems{{Field: "If-None-Match", Problem: "stands beside If-Match; give one of them"}})
	case slices.Contains(none, "*"):
		return medispatcher.NoRevision, nil
	case !given && !forbidden:
		return "", nil
	case len(revisions) == 1:
		return revisions[0], nil
	}
	_, rev, err := a.Registry.Get(ctx, id)
	_, unusable := errors.AsType[medispatcher.Problems](err) // it has a revision
	switch {
	case errors.Is(err, medispatcher.ErrNotFound):
		rev = medispatcher.NoRevision
	case err != nil && !unusable:
		return "", failed(err)
	}
	if forbidden != slices.Contains(append(revisions, none...), rev) {
		return rev, nil
	}
	return "", failed(fmt.Errorf("subscription %q: %w", id, medispatcher.ErrPrecondition))
}

// notDone is failed for a change that had a precondition.
func notDone(id, precondition string, err error) error {
	if precondition == medispatcher.NoRevision && errors.Is(err, medispatcher.ErrPrecondition) {
		return problem.New(http.StatusPreconditionFailed, fmt.Sprintf("subscription %q exists; leave If-None-Match out to change it", id))
	}
	return failed(err)
}
