package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/cmd/internal/access"
	"github.com/solate/medispatcher/cmd/medispatcher/operate"
)

type statusInput struct {
	After string `query:"after" doc:"Only subscriptions after this id: the next of the previous page"`
	Limit int    `query:"limit" doc:"Most subscriptions in the answer" default:"1000" minimum:"1" maximum:"1000"`
	Busy  bool   `query:"busy" doc:"Only subscriptions that hold messages, or whose breaker is open"`
}

type statusPage struct {
	medispatcher.Status
	Next string `json:"next,omitempty" doc:"Pass it as ?after= for the next page; absent on the last page"`
}

type statusOutput struct{ Body statusPage }

type dispatcherList struct {
	Dispatchers []medispatcher.Dispatcher `json:"dispatchers" doc:"Sorted by id; one without a recent heartbeat is not alive"`
}

type dispatchersOutput struct{ Body dispatcherList }

func (a *api) statusRoutes() {
	const since = "2026-01-01T00:09:00Z"
	dispatcher := map[string]any{
		"id": "host-1-4711", "host": "host-1", "pid": 4711, "version": "1.0.0", "started": "2026-01-01T00:00:00Z",
		"dead_after_ns": 10_000_000_000, "heartbeat": "2026-01-01T00:10:00Z", "alive": true,
		"held": []any{map[string]any{"subscription": "billing", "since": since}}, "held_total": 1,
	}
	route(a, access.Reader, huma.Operation{
		OperationID: "get-status", Method: http.MethodGet, Path: Prefix + "/status",
		Summary: "What is waiting where", Tags: []string{tagStatus},
		Description: "Counts over all partitions; totals are over all subscriptions, listed or not. buried includes retrying; oldest_ms is the age of the oldest message that is not settled. " +
			"state is active, paused or breaker_open: held_by then names the dispatchers that hold the messages back because every attempt fails.",
		Errors: []int{http.StatusServiceUnavailable},
		Responses: ok("200", "The state of the whole system", map[string]any{
			"totals":   map[string]any{"subscriptions": 1, "ready": 120, "buried": 8, "retrying": 8, "dead": 1, "oldest_ms": 5200},
			"incoming": map[string]any{"ready": 3, "buried": 0, "delayed": 1, "quarantine": 0, "unrouted": 2, "oldest_ms": 12},
			"subscriptions": []any{map[string]any{"id": "billing", "topic": "order.*", "state": medispatcher.BreakerOpen,
				"ready": 120, "buried": 8, "retrying": 8, "dead": 1, "oldest_ms": 5200,
				"held_by": []any{map[string]any{"dispatcher": "host-1-4711", "since": since}}}},
			"dispatchers": []any{dispatcher}, "revision": 7,
		}),
	}, nil, a.status)
	route(a, access.Reader, huma.Operation{
		OperationID: "list-dispatchers", Method: http.MethodGet, Path: Prefix + "/dispatchers",
		Summary: "The dispatchers on this Redis", Tags: []string{tagStatus},
		Errors:    []int{http.StatusServiceUnavailable},
		Responses: ok("200", "The dispatchers", map[string]any{"dispatchers": []any{dispatcher}}),
	}, nil, a.dispatchers)
}

func (a *api) status(ctx context.Context, in *statusInput) (*statusOutput, error) {
	st, err := operate.Status(ctx, a.Registry, a.Store)
	if err != nil {
		return nil, failed(err)
	}
	page := statusPage{Status: st}
	page.Subscriptions = []medispatcher.ChannelStatus{}
	for _, c := range st.Subscriptions {
		if c.ID <= in.After || in.Busy && !operate.Busy(&c) {
			continue
		}
		if len(page.Subscriptions) == in.Limit {
			page.Next = page.Subscriptions[in.Limit-1].ID
			break
		}
		page.Subscriptions = append(page.Subscriptions, c)
	}
	return &statusOutput{page}, nil
}

func (a *api) dispatchers(ctx context.Context, _ *struct{}) (*dispatchersOutput, error) {
	list, err := operate.Dispatchers(ctx, a.Store)
	if err != nil {
		return nil, failed(err)
	}
	return &dispatchersOutput{dispatcherList{list}}, nil
}
