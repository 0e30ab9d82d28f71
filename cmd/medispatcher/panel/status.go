package panel

import (
	"cmp"
	"context"
	"net/http"
	"slices"

	"github.com/danielgtaylor/huma/v2"

	"github.com/solate/medispatcher"
)

const (
	stateActive = "active"
	statePaused = "paused"
)

type statusOutput struct{ Body medispatcher.Status }

type dispatcherList struct {
	Dispatchers []medispatcher.Dispatcher `json:"dispatchers" nullable:"false" doc:"Sorted by id; those without a fresh heartbeat are not alive"`
}

type dispatchersOutput struct{ Body dispatcherList }

func (a *api) statusRoutes() {
	dispatcher := map[string]any{
		"id": "host-1-4711", "host": "host-1", "pid": 4711, "version": "1.0.0", "started": "2026-01-01T00:00:00Z",
		"dead_after_ns": 10_000_000_000, "heartbeat": "2026-01-01T00:10:00Z", "alive": true,
	}
	route(a, huma.Operation{
		OperationID: "get-status", Method: http.MethodGet, Path: prefix + "/status",
		Summary: "What is waiting where", Tags: []string{tagStatus},
		Description: "Counts over all partitions. buried includes retrying; oldest_ms is the age of the oldest message that is not settled.",
		Errors:      []int{http.StatusServiceUnavailable},
		Responses: ok("200", "The state of the whole system", map[string]any{
			"incoming": map[string]any{"ready": 3, "buried": 0, "delayed": 1, "quarantine": 0, "oldest_ms": 12},
			"subscriptions": []any{map[string]any{"id": "billing", "topic": "order.*", "state": stateActive,
				"ready": 120, "buried": 8, "retrying": 2, "dead": 1, "oldest_ms": 5200}},
			"dispatchers": []any{dispatcher}, "revision": 7,
		}),
	}, nil, a.status)
	route(a, huma.Operation{
		OperationID: "list-dispatchers", Method: http.MethodGet, Path: prefix + "/dispatchers",
		Summary: "Who works on this Redis", Tags: []string{tagStatus},
		Errors:    []int{http.StatusServiceUnavailable},
		Responses: ok("200", "The dispatchers", map[string]any{"dispatchers": []any{dispatcher}}),
	}, nil, a.dispatchers)
}

func (a *api) status(ctx context.Context, _ *struct{}) (*statusOutput, error) {
	subs, revision, err := a.registry.Subscriptions(ctx)
	if err != nil {
		return nil, failed(err)
	}
	subs = sorted(subs)
	ids := make([]string, len(subs))
	for i, s := range subs {
		ids[i] = s.ID
	}
	st := medispatcher.Status{Subscriptions: []medispatcher.ChannelStatus{}, Revision: revision}
	if st.Incoming, err = a.store.IncomingStatus(ctx); err != nil {
		return nil, failed(err)
	}
	if len(ids) > 0 {
		if st.Subscriptions, err = a.store.ChannelStatus(ctx, ids); err != nil {
			return nil, failed(err)
		}
	}
	for i, s := range subs {
		c := &st.Subscriptions[i]
		c.Topic, c.State = s.Topic, stateActive
		if s.Paused {
			c.State = statePaused
		}
	}
	if st.Dispatchers, err = a.listDispatchers(ctx); err != nil {
		return nil, failed(err)
	}
	return &statusOutput{st}, nil
}

func (a *api) dispatchers(ctx context.Context, _ *struct{}) (*dispatchersOutput, error) {
	list, err := a.listDispatchers(ctx)
	if err != nil {
		return nil, failed(err)
	}
	return &dispatchersOutput{dispatcherList{list}}, nil
}

func (a *api) listDispatchers(ctx context.Context) ([]medispatcher.Dispatcher, error) {
	list, err := a.store.Dispatchers(ctx)
	list = append([]medispatcher.Dispatcher{}, list...) // [] in JSON, never null
	slices.SortFunc(list, func(x, y medispatcher.Dispatcher) int { return cmp.Compare(x.ID, y.ID) })
	return list, err
}
