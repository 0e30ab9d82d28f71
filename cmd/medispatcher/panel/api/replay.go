package api

import (
	"context"
	"errors"
	"net/http"
	"reflect"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/cmd/internal/access"
	"github.com/solate/medispatcher/cmd/medispatcher/operate"
	"github.com/solate/medispatcher/cmd/medispatcher/panel/problem"
)

// Archive is the accepted messages that are kept, and the replays from it.
type Archive interface {
	operate.Archive
	CountReplay(ctx context.Context, r medispatcher.Replay) (medispatcher.ReplayCount, error)
	StartReplay(ctx context.Context, r medispatcher.Replay) (_ medispatcher.Replay, joined bool, err error)
	EndReplay(ctx context.Context, r *medispatcher.Replay) error
	// PutFrom creates a subscription that begins with a replay.
	PutFrom(ctx context.Context, put medispatcher.SubscriptionPut) medispatcher.SubscriptionPutDone
}

// replayRequest is the body of a request to replay.
type replayRequest struct {
	Since     string `json:"since" doc:"Begin so long ago, or at this time" example:"2h"`
	Until     string `json:"until,omitempty" doc:"End so long ago, or at this time; now if it is left out" example:"2026-11-26T21:30:00Z"`
	Topic     string `json:"topic,omitempty" doc:"Only messages whose topic matches this pattern" example:"order.*"`
	AllTopics bool   `json:"all_topics,omitempty" doc:"Also what the subscription itself does not ask for; needs topic"`
	DryRun    bool   `json:"dry_run,omitempty" doc:"Count, and change nothing"`
}

type replaySubscriptionInput struct {
	request
	ID string `path:"id" doc:"The subscription's id" example:"billing"`
}

// replayAnswer says what a replay does, or would do.
type replayAnswer struct {
	Count   *medispatcher.ReplayCount `json:"count,omitempty" doc:"With dry_run: what it would do"`
	Replay  *medispatcher.ReplayState `json:"replay,omitempty" doc:"The replay that dispatchers carry out"`
	Joined  bool                      `json:"joined,omitempty" doc:"It was begun before, in the same words"`
	Warning string                    `json:"warning,omitempty" doc:"What of the window the archive does not hold"`
}

type replayOutput struct {
	Status int
	Body   replayAnswer
}

type stopReplayOutput struct{ Body medispatcher.ReplayProgress }

func (a *api) replayRoutes() {
	const path = Prefix + "/subscriptions/{id}/replay"
	at := time.Date(2026, 11, 26, 20, 0, 0, 0, time.UTC)
	progress := medispatcher.ReplayProgress{Looked: 5200, Replayed: 1300, Done: 0.4}
	state := &medispatcher.ReplayState{Progress: progress, Replay: medispatcher.Replay{
		ID: "7YXLZQ4N6TVKGD5EWPBHRMUJAC", Subscription: "billing", Asked: medispatcher.ReplayAsk{Since: "2h"}, Since: at, By: "api", Started: at.Add(2 * time.Hour), Background: true,
	}}
	errs := []int{http.StatusNotFound, http.StatusServiceUnavailable}
	responses := ok("202", "Dispatchers carry it out", replayAnswer{Replay: state})
	responses["200"] = ok("200", "With dry_run: what it would do", replayAnswer{Count: &medispatcher.ReplayCount{Looked: 13000, Messages: 3250, Bytes: 812500}})["200"]
	schemas := a.huma.OpenAPI().Components.Schemas
	responses["200"].Content["application/json"].Schema = schemas.Schema(reflect.TypeFor[replayAnswer](), true, "ReplayAnswer")
	route(a, access.Operator, huma.Operation{
		OperationID: "replay-subscription", Method: http.MethodPost, Path: path,
		Summary: "Deliver messages of the archive again", Tags: []string{tagSubscriptions}, MaxBodyBytes: maxDocument, DefaultStatus: http.StatusAccepted,
		Description: "Each message of the window becomes READY: attempt 1, the same webhook-id, and the header medis-replay: true. " +
			"The topic of the subscription decides what it gets, unless all_topics is set. Dispatchers carry it out, and add no more while a thousand messages " +
			"wait in the channel. Repeated in the same words while it is not finished, the request joins it. In other words it is 409.",
		Errors:    append(errs, http.StatusBadRequest, http.StatusConflict, http.StatusUnprocessableEntity, http.StatusRequestTimeout, http.StatusRequestEntityTooLarge),
		Responses: responses,
	}, &huma.RequestBody{Required: true, Content: map[string]*huma.MediaType{"application/json": {
		Schema: schemas.Schema(reflect.TypeFor[replayRequest](), true, "ReplayRequest"), Example: map[string]any{"since": "2h", "topic": "order.*"},
	}}}, a.replay)
	route(a, access.Reader, huma.Operation{
		OperationID: "get-replay", Method: http.MethodGet, Path: path,
		Summary: "Show a replay that is not finished", Tags: []string{tagSubscriptions},
		Errors: errs, Responses: ok("200", "How far it has come", replayAnswer{Replay: state}),
	}, nil, a.showReplay)
	route(a, access.Operator, huma.Operation{
		OperationID: "stop-replay", Method: http.MethodDelete, Path: path,
		Summary: "Stop a replay that is not finished", Tags: []string{tagSubscriptions},
		Description: "What it made READY stays in the channel.",
		Errors:      errs, Responses: ok("200", "How far it had come", progress),
	}, nil, a.stopReplay)
}

func (a *api) replay(ctx context.Context, in *replaySubscriptionInput) (*replayOutput, error) {
	doc, err := in.document()
	if err != nil {
		return nil, err
	}
	var q replayRequest
	if err := decode(doc, &q, `{"since":"2h"}`); err != nil {
		return nil, err
	}
	ctx, cancel := detached(ctx)
	defer cancel()
	if _, _, err := a.Registry.Get(ctx, in.ID); err != nil {
		return nil, failed(err)
	}
	r, err := operate.NewReplay(ctx, in.ID, medispatcher.ReplayAsk{Since: q.Since, Until: q.Until, Topic: q.Topic, AllTopics: q.AllTopics}, time.Now())
	if err != nil {
		return nil, failed(err)
	}
	r.Background = true
	answer := replayAnswer{}
	if answer.Warning, err = a.shortfall(ctx, r.Since); err != nil {
		return nil, err
	}
	if q.DryRun {
		deedOf(ctx).What = ""
		n, err := a.Archive.CountReplay(ctx, r)
		if err != nil {
			return nil, failed(err)
		}
		answer.Count = &n
		return &replayOutput{http.StatusOK, answer}, nil
	}
	r, answer.Joined, err = a.Archive.StartReplay(ctx, r)
	if busy, is := errors.AsType[*medispatcher.ReplayBusyError](err); is {
		return nil, problem.New(http.StatusConflict, busy.Error()+" with DELETE "+Prefix+"/subscriptions/"+in.ID+"/replay")
	}
	if err != nil {
		return nil, failed(err)
	}
	if !answer.Joined {
		a.Log.Info("replay begun", "subscription", in.ID, "by", medispatcher.Actor(ctx), "since", r.Since)
	}
	answer.Replay, err = a.replayState(ctx, r)
	return &replayOutput{http.StatusAccepted, answer}, err
}

// shortfall says what of a window the archive does not hold. It is 422 if the archive is empty.
func (a *api) shortfall(ctx context.Context, since time.Time) (string, error) {
	span, err := a.Archive.ArchiveSpan(ctx)
	if err != nil {
		return "", failed(err)
	}
	if span.Messages == 0 {
		return "", problem.Invalid(medispatcher.Problems{{Field: "since", Problem: operate.NoArchiveError}})
	}
	all, err := a.Store.Dispatchers(ctx)
	if err != nil {
		return "", failed(err)
	}
	return operate.Shortfall(span, all, since), nil
}

func (a *api) replayState(ctx context.Context, r medispatcher.Replay) (*medispatcher.ReplayState, error) {
	progress, err := a.Archive.ReplayProgress(ctx, r)
	if err != nil {
		return nil, failed(err)
	}
	return &medispatcher.ReplayState{Replay: r, Progress: progress}, nil
}

func (a *api) showReplay(ctx context.Context, in *idInput) (*replayOutput, error) {
	r, err := a.Archive.ReplayOf(ctx, in.ID)
	if err != nil {
		return nil, noReplay(err)
	}
	state, err := a.replayState(ctx, r)
	return &replayOutput{http.StatusOK, replayAnswer{Replay: state}}, err
}

// noReplay is failed, but in words of its own where there is no replay.
func noReplay(err error) error {
	if errors.Is(err, medispatcher.ErrNotFound) {
		return problem.New(http.StatusNotFound, err.Error()+"; it may be finished")
	}
	return failed(err)
}

func (a *api) stopReplay(ctx context.Context, in *idInput) (*stopReplayOutput, error) {
	ctx, cancel := detached(ctx)
	defer cancel()
	r, err := a.Archive.ReplayOf(ctx, in.ID)
	if err != nil {
		return nil, noReplay(err)
	}
	progress, err := a.Archive.ReplayProgress(ctx, r)
	if err == nil {
		err = a.Archive.EndReplay(ctx, &r)
	}
	if err != nil {
		return nil, failed(err)
	}
	a.Log.Info("replay stopped", "subscription", in.ID, "by", medispatcher.Actor(ctx), "messages", progress.Replayed)
	return &stopReplayOutput{progress}, nil
}

// putFrom creates a subscription that begins with what the archive holds.
func (a *api) putFrom(ctx context.Context, in *putInput, doc []byte, rev string) (*subscriptionOutput, error) {
	r, err := operate.NewFrom(ctx, in.ID, in.From, time.Now())
	if err != nil {
		return nil, failed(err)
	}
	all, err := a.Store.Dispatchers(ctx)
	if err == nil {
		err = operate.MayBegin(all)
	}
	if err != nil {
		return nil, failed(err)
	}
	done := a.Archive.PutFrom(ctx, medispatcher.SubscriptionPut{ID: in.ID, Document: doc, IfMatch: rev, Replay: &r})
	if done.Err != nil {
		return nil, notDone(in.ID, rev, done.Err)
	}
	return shown(http.StatusCreated, done.Subscription, done.Revision), nil
}
