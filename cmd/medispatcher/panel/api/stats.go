package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/cmd/internal/access"
)

// Statistics are counts over time.
type Statistics interface {
	// SubscriptionSeries counts all subscriptions when id is empty; step is second, minute or hour.
	SubscriptionSeries(ctx context.Context, id, step string) (medispatcher.Series, error)
	// Times is over all subscriptions when id is empty; step is minute or hour.
	Times(ctx context.Context, id, step string) (medispatcher.TimeSeries, error)
	Topics(ctx context.Context) (topics []string, more bool, err error)
}

type statsInput struct {
	After string `query:"after" doc:"Only subscriptions after this id: the next of the previous page"`
	Limit int    `query:"limit" doc:"Most subscriptions in the answer" default:"1000" minimum:"1" maximum:"1000"`
}

type statsPage struct {
	Sums          medispatcher.StatsSums           `json:"sums" doc:"Over all topics and subscriptions"`
	Topics        []medispatcher.TopicStats        `json:"topics" doc:"Sorted; only on the first page, and at most a thousand"`
	MoreTopics    bool                             `json:"more_topics,omitempty" doc:"There are more topics than are listed"`
	Subscriptions []medispatcher.SubscriptionStats `json:"subscriptions" doc:"Sorted by id"`
	Next          string                           `json:"next,omitempty" doc:"Pass it as ?after= for the next page; absent on the last page"`
}

type statsOutput struct{ Body statsPage }

type subscriptionStatsOutput struct {
	Body medispatcher.SubscriptionStats
}

type seriesInput struct {
	Subscription string `query:"subscription" doc:"A subscription's id; when absent, all of them together and what was received" example:"billing"`
	Step         string `query:"step" doc:"Time between two values: the last 60 seconds, 60 minutes or 24 hours" enum:"second,minute,hour" default:"minute"`
}

type seriesOutput struct{ Body medispatcher.Series }

type timesInput struct {
	Subscription string `query:"subscription" doc:"A subscription's id; when absent, all of them together" example:"billing"`
	Step         string `query:"step" doc:"Time between two values: the last 60 minutes or 24 hours" enum:"minute,hour" default:"minute"`
}

type timesOutput struct{ Body medispatcher.TimeSeries }

func (a *api) statsRoutes() {
	counted := medispatcher.Windows{Second: 21, TenSeconds: 204, Minute: 1190, Hour: 70800, Day: 1611000, Total: 9871234}
	failures := medispatcher.Windows{Minute: 3, Hour: 12, Day: 12, Total: 340}
	one := medispatcher.SubscriptionStats{
		ID: "billing", Sent: counted, Failed: failures, Retried: failures,
		Latency: medispatcher.Quantiles{Count: 5950, P50: 1.4, P90: 3.1, P99: 12.7},
		Took:    medispatcher.Quantiles{Count: 5965, P50: 0.9, P90: 2.2, P99: 11.1},
	}
	errs := []int{http.StatusUnprocessableEntity, http.StatusServiceUnavailable}
	route(a, access.Reader, huma.Operation{
		OperationID: "get-stats", Method: http.MethodGet, Path: Prefix + "/stats",
		Summary: "What was received and sent, and how long it took", Tags: []string{tagStatus},
		Description: "Over all dispatchers: in the last full second, the last ten seconds, the last minute, hour and day, and in all. " +
			"failed counts attempts, retried those that were not the first. latency is from publishing to delivery and took the wait for an " +
			"answer, in ms, of the last five minutes.",
		Errors: errs, Responses: ok("200", "Statistics", statsPage{
			Sums:   medispatcher.StatsSums{Received: counted, Sent: counted, Failed: failures, Retried: failures},
			Topics: []medispatcher.TopicStats{{Topic: "order.created", Received: counted}}, Subscriptions: []medispatcher.SubscriptionStats{one},
			Next: "billing",
		}),
	}, nil, a.stats)
	route(a, access.Reader, huma.Operation{
		OperationID: "get-stats-series", Method: http.MethodGet, Path: Prefix + "/stats/series",
		Summary: "Counts over time", Tags: []string{tagStatus},
		Description: "Oldest value first. end is the unix time at which the interval of the last value begins; that interval is not over yet.",
		Errors:      append([]int{http.StatusNotFound}, errs...),
		Responses: ok("200", "One value for each second, minute or hour", medispatcher.Series{
			Step: 60, End: 1767225600, Counts: map[string][]int64{"sent": {1180, 1190}, "failed": {0, 3}, "retried": {0, 3}, "dead": {0, 0}},
		}),
	}, nil, a.series)
	waiting := int64(120)
	route(a, access.Reader, huma.Operation{
		OperationID: "get-stats-times", Method: http.MethodGet, Path: Prefix + "/stats/times",
		Summary: "Latency, answer times, failed attempts by status and backlog over time", Tags: []string{tagStatus},
		Description: "Oldest value first. end is the unix time at which the interval of the last value begins; that interval is not over yet. Of a single subscription " +
			"there is less where many are busy: the last minutes, or no hours.",
		Errors: append([]int{http.StatusNotFound}, errs...),
		Responses: ok("200", "One value for each minute or hour", medispatcher.TimeSeries{
			Step: 60, End: 1767225600, Latency: []medispatcher.Quantiles{one.Latency}, Took: []medispatcher.Quantiles{one.Took},
			Errors: map[string][]int64{"503": {3}, "none": {1}}, Sent: []int64{1190}, Backlog: []*int64{&waiting},
		}),
	}, nil, a.times)
	route(a, access.Reader, huma.Operation{
		OperationID: "get-subscription-stats", Method: http.MethodGet, Path: Prefix + "/subscriptions/{id}/stats",
		Summary: "What happened to a subscription's messages, and how long it took", Tags: []string{tagStatus},
		Errors:    []int{http.StatusNotFound, http.StatusServiceUnavailable},
		Responses: ok("200", "Statistics of one subscription", one),
	}, nil, a.subscriptionStats)
}

func (a *api) stats(ctx context.Context, in *statsInput) (*statsOutput, error) {
	subs, _, err := a.Registry.Subscriptions(ctx)
	if err != nil {
		return nil, failed(err)
	}
	var page statsPage
	var ids, topics []string
	for s := range subs.After(in.After) {
		if len(ids) == in.Limit {
			page.Next = ids[in.Limit-1]
			break
		}
		ids = append(ids, s.ID)
	}
	if in.After == "" {
		if topics, page.MoreTopics, err = a.Store.Topics(ctx); err != nil {
			return nil, failed(err)
		}
	}
	st, err := a.Store.Stats(ctx, ids, topics)
	if err != nil {
		return nil, failed(err)
	}
	page.Sums = st.Sums
	page.Topics = append([]medispatcher.TopicStats{}, st.Topics...) // [] in JSON, never null
	page.Subscriptions = append([]medispatcher.SubscriptionStats{}, st.Subscriptions...)
	return &statsOutput{page}, nil
}

func (a *api) subscriptionStats(ctx context.Context, in *idInput) (*subscriptionStatsOutput, error) {
	if _, _, err := a.Registry.Get(ctx, in.ID); err != nil {
		return nil, failed(err)
	}
	st, err := a.Store.Stats(ctx, []string{in.ID}, nil)
	if err != nil {
		return nil, failed(err)
	}
	return &subscriptionStatsOutput{st.Subscriptions[0]}, nil
}

func (a *api) series(ctx context.Context, in *seriesInput) (*seriesOutput, error) {
	if in.Subscription != "" {
		if _, _, err := a.Registry.Get(ctx, in.Subscription); err != nil {
			return nil, failed(err)
		}
	}
	series, err := a.Store.SubscriptionSeries(ctx, in.Subscription, in.Step)
	if err != nil {
		return nil, failed(err)
	}
	return &seriesOutput{series}, nil
}

func (a *api) times(ctx context.Context, in *timesInput) (*timesOutput, error) {
	if in.Subscription != "" {
		if _, _, err := a.Registry.Get(ctx, in.Subscription); err != nil {
			return nil, failed(err)
		}
	}
	times, err := a.Store.Times(ctx, in.Subscription, in.Step)
	if err != nil {
		return nil, failed(err)
	}
	return &timesOutput{times}, nil
}
