package api_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/cmd/medispatcher/panel"
	"github.com/solate/medispatcher/cmd/medispatcher/panel/paneltest"
)

func TestSubscriptions(t *testing.T) {
	t.Parallel()
	rev := medispatcher.Rev([]byte(paneltest.New("billing").Docs["billing"]))
	doc := `{"topic":"a.b","urls":["http://h/"]}`
	var ids strings.Builder
	for i := range 1000 {
		fmt.Fprintf(&ids, `,"s%d"`, i)
	}
	check(t, nil, []routeTest{
		{name: "list", q: request{Method: "GET", Path: subs}, status: 200, says: []string{`"id":"billing"`, "whsec_********", "user:********@h"}},
		{name: "list, Redis away", q: request{Method: "GET", Path: subs}, broken: "list", status: 503, says: []string{"Retry-After: 1"}},
		{name: "list, bad limit", q: request{Method: "GET", Path: subs + "?limit=0"}, status: 422, says: []string{`"location":"limit"`, "limit: expected number"}},
		{name: "list, limit no number", q: request{Method: "GET", Path: subs + "?limit=x"}, status: 422, says: []string{"limit: invalid integer"}},
		{name: "list, bad topic", q: request{Method: "GET", Path: subs + "?topic=a..b"}, status: 422, says: []string{`"location":"topic"`}},
		{name: "get", q: request{Method: "GET", Path: subs + "/billing"}, status: 200, says: []string{"whsec_********", "user:********@h", `"timeout":"5s"`, `ETag: "` + rev + `"`}},
		{name: "get, not changed", q: request{Method: "GET", Path: subs + "/billing", Header: []string{"If-None-Match", `"` + rev + `"`}}, status: 304, says: []string{`ETag: "` + rev + `"`}},
		{name: "get, not changed, weak, of several", q: request{Method: "GET", Path: subs + "/billing", Header: []string{"If-None-Match", `"old", W/"` + rev + `"`}}, status: 304},
		{name: "get, If-None-Match *", q: request{Method: "GET", Path: subs + "/billing", Header: []string{"If-None-Match", "*"}}, status: 304},
		{name: "get, changed", q: request{Method: "GET", Path: subs + "/billing", Header: []string{"If-None-Match", `"old"`}}, status: 200, says: []string{`"id":"billing"`}},
		{name: "get, If-None-Match * on none", q: request{Method: "GET", Path: subs + "/none", Header: []string{"If-None-Match", "*"}}, status: 404},
		{name: "get, none", q: request{Method: "GET", Path: subs + "/none"}, status: 404, says: []string{"none", "lists"}},
		{name: "get, unusable", q: request{Method: "GET", Path: subs + "/billing"}, broken: "get", err: medispatcher.Problems{{Field: "urls", Problem: "holds 0 URLs"}}, status: 500, says: []string{"PUT it again", "urls: holds 0 URLs"}},
		{name: "get, Redis away", q: request{Method: "GET", Path: subs + "/billing"}, broken: "get", status: 503},
		{name: "put new", q: request{Method: "PUT", Path: subs + "/new", Body: doc}, status: 201, says: []string{`"id":"new"`, "ETag: "}, steps: "put new"},
		{name: "put over", q: request{Method: "PUT", Path: subs + "/billing", Body: doc}, status: 200, steps: "put billing"},
		{name: "put, unknown field", q: request{Method: "PUT", Path: subs + "/new", Body: `{"topic":"a","urls":["http://h/"],"colour":1}`}, status: 422, says: []string{`"location":"colour"`, "colour: is not a field"}},
		{name: "put, over the maximum", q: request{Method: "PUT", Path: subs + "/new", Body: `{"topic":"a","urls":["http://h/"],"concurrency":1501,"timeout":"1h"}`}, status: 422, says: []string{`"location":"concurrency"`, `"location":"timeout"`, `"detail":"concurrency: `}},
		{name: "put, nested field", q: request{Method: "PUT", Path: subs + "/new", Body: `{"topic":"a","urls":["ftp://h/"],"drop":{"action":"eat"}}`}, status: 422, says: []string{`"location":"drop.action"`, `"location":"urls[0]"`}},
		{name: "put, no JSON", q: request{Method: "PUT", Path: subs + "/new", Body: "x=1"}, status: 422, says: []string{`"location":"body"`}},
		{name: "put, nothing", q: request{Method: "PUT", Path: subs + "/new"}, status: 422, says: []string{`"location":"body"`}},
		{name: "put, too large", q: request{Method: "PUT", Path: subs + "/new", Body: strings.Repeat(" ", 64<<10) + doc}, status: 413, says: []string{"65536 bytes"}},
		{name: "put, bad id", q: request{Method: "PUT", Path: subs + "/.hidden", Body: doc}, status: 422, says: []string{`"location":"id"`}},
		{name: "put, If-Match", q: request{Method: "PUT", Path: subs + "/billing", Body: doc, Header: []string{"If-Match", `"` + rev + `"`}}, status: 200, steps: "put billing"},
		{name: "put, If-Match unquoted", q: request{Method: "PUT", Path: subs + "/billing", Body: doc, Header: []string{"If-Match", rev}}, status: 200, steps: "put billing"},
		{name: "put, If-Match of several", q: request{Method: "PUT", Path: subs + "/billing", Body: doc, Header: []string{"If-Match", `"old", "` + rev + `"`}}, status: 200, steps: "put billing"},
		{name: "put, If-Match *", q: request{Method: "PUT", Path: subs + "/billing", Body: doc, Header: []string{"If-Match", "*"}}, status: 200, steps: "put billing"},
		{name: "put, If-Match * on none", q: request{Method: "PUT", Path: subs + "/new", Body: doc, Header: []string{"If-Match", "*"}}, status: 412},
		{name: "put, If-Match stale", q: request{Method: "PUT", Path: subs + "/billing", Body: doc, Header: []string{"If-Match", `"old"`}}, status: 412, says: []string{"read it again"}},
		{name: "put, If-Match several stale", q: request{Method: "PUT", Path: subs + "/billing", Body: doc, Header: []string{"If-Match", `"old"`, "If-Match", `"older"`}}, status: 412},
		{name: "put, If-Match empty", q: request{Method: "PUT", Path: subs + "/billing", Body: doc, Header: []string{"If-Match", `""`}}, status: 412},
		{name: "put, If-Match a star in quotes", q: request{Method: "PUT", Path: subs + "/billing", Body: doc, Header: []string{"If-Match", `"*"`}}, status: 412},
		{name: "put, If-Match weak", q: request{Method: "PUT", Path: subs + "/billing", Body: doc, Header: []string{"If-Match", `W/"` + rev + `"`}}, status: 412},
		{name: "put, If-None-Match * on none", q: request{Method: "PUT", Path: subs + "/new", Body: doc, Header: []string{"If-None-Match", "*"}}, status: 201, steps: "put new"},
		{name: "put, If-None-Match *", q: request{Method: "PUT", Path: subs + "/billing", Body: doc, Header: []string{"If-None-Match", "*"}}, status: 412, says: []string{`subscription \"billing\" exists; leave If-None-Match out to change it`}},
		{name: "put, If-None-Match its tag", q: request{Method: "PUT", Path: subs + "/billing", Body: doc, Header: []string{"If-None-Match", `"a", W/"` + rev + `"`}}, status: 412},
		{name: "put, If-None-Match another tag", q: request{Method: "PUT", Path: subs + "/billing", Body: doc, Header: []string{"If-None-Match", `"old"`}}, status: 200, steps: "put billing"},
		{name: "put, If-None-Match a tag, on none", q: request{Method: "PUT", Path: subs + "/new", Body: doc, Header: []string{"If-None-Match", `"old"`}}, status: 201, steps: "put new"},
		{name: "put, both", q: request{Method: "PUT", Path: subs + "/billing", Body: doc, Header: []string{"If-None-Match", `"old"`, "If-Match", "*"}}, status: 422, says: []string{"If-None-Match: stands beside If-Match"}},
		{name: "put, from and If-None-Match *", q: request{Method: "PUT", Path: subs + "/billing?from=1h", Body: doc, Header: []string{"If-None-Match", "*"}}, status: 412},
		{name: "put, from and If-Match", q: request{Method: "PUT", Path: subs + "/new?from=1h", Body: doc, Header: []string{"If-Match", "*"}}, status: 412},
		{name: "patch, If-None-Match *", q: request{Method: "PATCH", Path: subs + "/billing", Body: `{"concurrency":32}`, Header: []string{"If-None-Match", "*"}}, status: 412},
		{name: "patch, none, If-None-Match *", q: request{Method: "PATCH", Path: subs + "/none", Body: `{"concurrency":32}`, Header: []string{"If-None-Match", "*"}}, status: 404},
		{name: "pause, If-None-Match *", q: request{Method: "POST", Path: subs + "/billing/pause", Header: []string{"If-None-Match", "*"}}, status: 412},
		{name: "remove, If-None-Match *", q: request{Method: "DELETE", Path: subs + "/billing?purge=true", Header: []string{"If-None-Match", "*"}}, status: 412},
		{name: "patch many, If-Match", q: request{Method: "PATCH", Path: subs, Body: `{"ids":["billing"],"patch":{}}`, Header: []string{"If-Match", "*"}}, status: 422, says: []string{"If-Match: is the revision of one"}},
		{name: "pause many, If-None-Match", q: request{Method: "POST", Path: subs + "/pause", Body: `{"ids":["billing"]}`, Header: []string{"If-None-Match", "*"}}, status: 422, says: []string{"If-None-Match: is the revision of one"}},
		{name: "put, overtaken", q: request{Method: "PUT", Path: subs + "/billing", Body: doc}, broken: "put", err: fmt.Errorf("x: %w", medispatcher.ErrConflict), status: 409},
		{name: "put, Redis away", q: request{Method: "PUT", Path: subs + "/billing", Body: doc}, broken: "put", status: 503, says: []string{"connection refused", "Retry-After: 1"}},
		{name: "patch", q: request{Method: "PATCH", Path: subs + "/billing", Body: `{"concurrency":32}`}, status: 200, says: []string{`"concurrency":32`, "ETag: "}, steps: "patch billing"},
		{name: "patch many", q: request{Method: "PATCH", Path: subs, Body: `{"ids":["billing","none"],"patch":{"concurrency":32}}`}, status: 200, says: []string{`{"changed":1,"failed":[{"id":"none","problem":"`}, steps: "patch billing"},
		{name: "patch many, wrong", q: request{Method: "PATCH", Path: subs, Body: `{"ids":["billing"],"patch":{"concurrency":0}}`}, status: 200, says: []string{`{"changed":0,"failed":[{"id":"billing","problem":"concurrency: 0 is outside 1 to 1500"}]}`}},
		{name: "pause many", q: request{Method: "POST", Path: subs + "/pause", Body: `{"ids":["billing"]}`}, status: 200, says: []string{`{"changed":1}`}, steps: "patch billing"},
		{name: "pause many, one twice", q: request{Method: "POST", Path: subs + "/pause", Body: `{"ids":["billing","none","billing","none"]}`}, status: 200, says: []string{`{"changed":1,"failed":[{"id":"none","problem":"subscription \"none\": not found"}]}`}, steps: "patch billing"},
		{name: "pause many, a null", q: request{Method: "POST", Path: subs + "/pause", Body: `{"ids":["billing",null]}`}, status: 422, says: []string{"body: is not ", "ids[1] is null"}},
		{name: "pause many, null", q: request{Method: "POST", Path: subs + "/pause", Body: `{"ids":null}`}, status: 422, says: []string{"body: is not ", "ids is null"}},
		{name: "resume many, a patch", q: request{Method: "POST", Path: subs + "/resume", Body: `{"ids":["billing"],"patch":{}}`}, status: 422, says: []string{`"location":"patch"`}},
		{name: "patch many, too many", q: request{Method: "PATCH", Path: subs, Body: `{"ids":["billing"` + ids.String() + `],"patch":{}}`}, status: 422, says: []string{`names 1001 subscriptions`}},
		{name: "patch many, Redis away", q: request{Method: "PATCH", Path: subs, Body: `{"ids":["billing"],"patch":{}}`}, broken: "patch", status: 503, says: []string{"0 of 1 subscriptions were changed"}},
		{name: "patch many, none named", q: request{Method: "PATCH", Path: subs, Body: `{"ids":[],"patch":{}}`}, status: 422, says: []string{`"location":"ids"`}},
		{name: "patch many, no patch", q: request{Method: "PATCH", Path: subs, Body: `{"ids":["billing"]}`}, status: 422, says: []string{`"location":"patch"`}},
		{name: "patch many, unknown field", q: request{Method: "PATCH", Path: subs, Body: `{"id":["billing"]}`}, status: 422, says: []string{`"location":"body"`}},
		{name: "patch, field named", q: request{Method: "PATCH", Path: subs + "/billing", Body: `{"concurrency":0}`}, status: 422, says: []string{"concurrency: 0 is outside 1 to 1500"}},
		{name: "patch, none", q: request{Method: "PATCH", Path: subs + "/none", Body: `{}`}, status: 404},
		{name: "patch, stale", q: request{Method: "PATCH", Path: subs + "/billing", Body: `{}`, Header: []string{"If-Match", `"old"`}}, status: 412},
		{name: "patch, too large", q: request{Method: "PATCH", Path: subs + "/billing", Body: strings.Repeat(" ", 64<<10+1)}, status: 413},
		{name: "patch, Redis away", q: request{Method: "PATCH", Path: subs + "/billing", Body: `{}`}, broken: "patch", status: 503},
		{name: "pause", q: request{Method: "POST", Path: subs + "/billing/pause"}, status: 200, says: []string{`"paused":true`}, steps: "patch billing"},
		{name: "resume", q: request{Method: "POST", Path: subs + "/billing/resume"}, status: 200, says: []string{`"paused":false`}, steps: "patch billing"},
		{name: "pause, none", q: request{Method: "POST", Path: subs + "/none/pause"}, status: 404},
		{name: "pause, stale", q: request{Method: "POST", Path: subs + "/billing/pause", Header: []string{"If-Match", `"old"`}}, status: 412},
	})
}

func TestPutSubscriptions(t *testing.T) {
	t.Parallel()
	const one, two, over = `{"id":"one","topic":"a.b","urls":["http://h/"]}`, `{"id":"two","topic":"a.b","urls":["http://h/"]}`, `{"id":"billing","topic":"a.b","urls":["http://h/"]}`
	put := func(body string) request { return request{Method: "PUT", Path: subs, Body: body} }
	check(t, nil, []routeTest{
		{name: "new and old", q: put(one + "\n" + over + "\n\n"), status: 200, says: []string{`{"created":1,"replaced":1}`}, steps: "put one,put billing"},
		{name: "an array", q: put("[" + one + ",\n" + two + "]"), status: 200, says: []string{`{"created":2,"replaced":0}`}, steps: "put one,put two"},
		{name: "one field wrong", q: put(one + "\n" + strings.Replace(two, "a.b", "a..b", 1)), status: 422, says: []string{`"location":"line 2: topic"`}},
		{name: "an unknown field", q: put(strings.Replace(one, "topic", "topik", 1)), status: 422, says: []string{`line 1: topik`}},
		{name: "no JSON", q: put(one + "\nx\n" + two), status: 422, says: []string{`"location":"line 2"`, "is not JSON"}},
		{name: "cut off", q: put(one + "\n" + two[:20]), status: 422, says: []string{`"location":"line 2"`, "is not JSON"}},
		{name: "no object", q: put("7"), status: 422, says: []string{"line 1: is not a subscription"}},
		{name: "null", q: put("null"), status: 422, says: []string{"line 1: is not a subscription"}},
		{name: "no id", q: put(`{"topic":"a"}`), status: 422, says: []string{"line 1: id: is missing"}},
		{name: "a bad id", q: put(strings.Replace(one, "one", "a b", 1)), status: 422, says: []string{"line 1: id: "}},
		{name: "one twice", q: put(one + "\n" + two + "\n" + one), status: 422, says: []string{`line 3: id: \"one\" is also that of line 1`}},
		{name: "nothing", q: put(" \n"), status: 422, says: []string{"body: holds no subscription"}},
		{name: "an empty array", q: put("[]"), status: 422, says: []string{"body: holds no subscription"}},
		{name: "more than the array", q: put("[" + one + "]" + two), status: 422, says: []string{"something follows the array"}},
		{name: "an array cut off", q: put("[" + one), status: 422, says: []string{"line 1: is not JSON"}},
		{name: "too many", q: put(manyLines(10_001)), status: 422, says: []string{"more than 10000 subscriptions"}},
		{name: "many mistakes", q: put(strings.Repeat("{}\n", 150)), status: 422, says: []string{"line 100: id", "body: has 50 more mistakes, in the lines 101, 102, 103, "}},
		{name: "If-Match", q: request{Method: "PUT", Path: subs, Body: one, Header: []string{"If-Match", "*"}}, status: 422, says: []string{"If-Match: is the revision of one"}},
		{name: "If-None-Match", q: request{Method: "PUT", Path: subs, Body: one, Header: []string{"If-None-Match", "*"}}, status: 422, says: []string{"If-None-Match: is the revision of one"}},
		{name: "Redis away", q: put(one), broken: "put", status: 503, says: []string{"Retry-After: 1"}},
	})
}

func manyLines(n int) string {
	var all strings.Builder
	for i := range n {
		fmt.Fprintf(&all, `{"id":"s%d","topic":"a.b","urls":["http://h/"]}`+"\n", i)
	}
	return all.String()
}

func TestListPages(t *testing.T) {
	f := paneltest.New("c", "a", "e", "b", "d")
	f.Docs["d"] = `{"topic":"other.topic","urls":["http://h/"]}`
	h := paneltest.Handler(f, panel.Config{})
	var ids []string
	path, pages := subs+"?limit=2", 0
	for next := "start"; next != ""; pages++ {
		var page struct {
			Subscriptions []struct{ ID string }
			Next          string
		}
		w := paneltest.Do(t, h, request{Method: "GET", Path: path})
		if err := json.Unmarshal(w.Body.Bytes(), &page); err != nil {
			t.Fatal(err)
		}
		for _, s := range page.Subscriptions {
			ids = append(ids, s.ID)
		}
		next = page.Next
		path = subs + "?limit=2&after=" + next
	}
	if pages != 3 || !slices.Equal(ids, []string{"a", "b", "c", "d", "e"}) {
		t.Errorf("%d pages: %v", pages, ids)
	}
	for query, want := range map[string]int{
		"?topic=order.created": 4, "?topic=order.*": 4, "?topic=other.topic": 1, "?topic=other.*": 0, "?after=e": 0, "": 5,
	} {
		w := paneltest.Do(t, h, request{Method: "GET", Path: subs + query})
		if got := strings.Count(w.Body.String(), `"id":`); got != want || !strings.HasPrefix(w.Body.String(), `{"subscriptions":[`) ||
			strings.Contains(w.Body.String(), `"next"`) {
			t.Errorf("%s: %d, want %d: %s", query, got, want, w.Body)
		}
	}
}
