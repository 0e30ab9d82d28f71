package api_test

import "testing"

func TestStats(t *testing.T) {
	t.Parallel()
	check(t, nil, []routeTest{
		{name: "stats", q: request{Method: "GET", Path: "/api/v1/stats"}, status: 200, says: []string{`"sums":{"received"`, `"minute":1204`, `"topics":[{"topic":"order.created"`, `"subscriptions":[{"id":"billing","sent":{"second":0,"ten_seconds":0,"minute":7`}},
		{name: "stats, a later page has no topics", q: request{Method: "GET", Path: "/api/v1/stats?after=zz"}, status: 200, says: []string{`"topics":[],"subscriptions":[]`}},
		{name: "stats, no list", q: request{Method: "GET", Path: "/api/v1/stats"}, broken: "list", status: 503},
		{name: "stats, no topics", q: request{Method: "GET", Path: "/api/v1/stats"}, broken: "topics", status: 503},
		{name: "stats, no counts", q: request{Method: "GET", Path: "/api/v1/stats"}, broken: "stats", status: 503},
		{name: "stats, bad limit", q: request{Method: "GET", Path: "/api/v1/stats?limit=1001"}, status: 422, says: []string{`"location":"limit"`}},
		{name: "stats of one", q: request{Method: "GET", Path: subs + "/billing/stats"}, status: 200, says: []string{`"id":"billing"`, `"minute":7`}},
		{name: "stats of none", q: request{Method: "GET", Path: subs + "/none/stats"}, status: 404},
		{name: "series", q: request{Method: "GET", Path: "/api/v1/stats/series?step=second"}, status: 200, says: []string{`"step":60`, `"sent  second":[1,2]`}},
		{name: "series of one", q: request{Method: "GET", Path: "/api/v1/stats/series?subscription=billing"}, status: 200, says: []string{`"sent billing minute":[1,2]`}},
		{name: "series of none", q: request{Method: "GET", Path: "/api/v1/stats/series?subscription=none"}, status: 404},
		{name: "series, bad step", q: request{Method: "GET", Path: "/api/v1/stats/series?step=day"}, status: 422, says: []string{`"location":"step"`}},
		{name: "series, Redis away", q: request{Method: "GET", Path: "/api/v1/stats/series"}, broken: "series", status: 503},
		{name: "times", q: request{Method: "GET", Path: "/api/v1/stats/times?step=hour"}, status: 200, says: []string{`"step":60`, `"503  hour":[1]`}},
		{name: "times of one", q: request{Method: "GET", Path: "/api/v1/stats/times?subscription=billing"}, status: 200, says: []string{`"503 billing minute":[1]`}},
		{name: "times of none", q: request{Method: "GET", Path: "/api/v1/stats/times?subscription=none"}, status: 404},
		{name: "times, bad step", q: request{Method: "GET", Path: "/api/v1/stats/times?step=second"}, status: 422, says: []string{`"location":"step"`}},
		{name: "times, Redis away", q: request{Method: "GET", Path: "/api/v1/stats/times"}, broken: "times", status: 503},
	})
}
