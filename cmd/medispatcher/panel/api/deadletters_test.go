package api_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/cmd/medispatcher/panel"
	"github.com/solate/medispatcher/cmd/medispatcher/panel/paneltest"
)

func TestDeadLetters(t *testing.T) {
	t.Parallel()
	full := medispatcher.ChannelStatus{Ready: 12, Buried: 3, Dead: 2}
	check(t, func(f *paneltest.Fake) { f.Letters = paneltest.DeadLetters() }, []routeTest{
		{name: "dead", q: request{Method: "GET", Path: subs + "/billing/dead"}, status: 200, says: []string{`{"dead_letters":[{"id":"0-1-0","died":"2026-01-01T00:00:00Z","message":{"id":"m","topic":"a.b","body":"text"},"failure":{"attempts":3`, `"body_base64":"/w=="`}},
		{name: "dead, none", q: request{Method: "GET", Path: subs + "/none/dead"}, status: 404},
		{name: "dead of a removed one", q: request{Method: "GET", Path: subs + "/none/dead"}, counts: full, status: 200},
		{name: "dead, bad after", q: request{Method: "GET", Path: subs + "/billing/dead?after=x"}, status: 422, says: []string{`"location":"after"`, "after: no id"}},
		{name: "dead, bad limit", q: request{Method: "GET", Path: subs + "/billing/dead?limit=201"}, status: 422, says: []string{`"location":"limit"`}},
		{name: "dead, Redis away", q: request{Method: "GET", Path: subs + "/billing/dead"}, broken: "letters", status: 503},
		{name: "dead letter", q: request{Method: "GET", Path: subs + "/billing/dead/0-2-0"}, status: 200, says: []string{`{"id":"0-2-0"`}},
		{name: "dead letter, none", q: request{Method: "GET", Path: subs + "/billing/dead/0-9-9"}, status: 404, says: []string{"subscriptions/billing/dead lists"}},
		{name: "dead letter, bad id", q: request{Method: "GET", Path: subs + "/billing/dead/x"}, status: 422, says: []string{`"location":"letter"`}},
		{name: "replay all", q: request{Method: "POST", Path: subs + "/billing/dead/replay"}, status: 200, says: []string{`{"replayed":3,"remaining":0}`}, steps: "replay all 3"},
		{name: "replay all, empty object", q: request{Method: "POST", Path: subs + "/billing/dead/replay", Body: "{}\n"}, status: 200, steps: "replay all 3"},
		{name: "replay, a list of none", q: request{Method: "POST", Path: subs + "/billing/dead/replay", Body: `{"ids":[]}`}, status: 422, says: []string{`"location":"ids"`}},
		{name: "replay some", q: request{Method: "POST", Path: subs + "/billing/dead/replay", Body: `{"ids":["0-2-0","0-9-9","0-2-0"]}`}, status: 200, says: []string{`{"replayed":1,"remaining":0,"missing":1}`}, steps: "replay 1"},
		{name: "replay, ids null", q: request{Method: "POST", Path: subs + "/billing/dead/replay", Body: `{"ids":null}`}, status: 422, says: []string{"ids is null"}},
		{name: "replay, match null", q: request{Method: "POST", Path: subs + "/billing/dead/replay", Body: `{"match":null}`}, status: 422, says: []string{"match is null"}},
		{name: "replay, null", q: request{Method: "POST", Path: subs + "/billing/dead/replay", Body: `null`}, status: 422, says: []string{"it is null"}},
		{name: "replay, bad ids", q: request{Method: "POST", Path: subs + "/billing/dead/replay", Body: `{"ids":["0-2-0","x"]}`}, status: 422, says: []string{`"location":"ids[1]"`}},
		{name: "replay, unknown field", q: request{Method: "POST", Path: subs + "/billing/dead/replay", Body: `{"id":["0-2-0"]}`}, status: 422, says: []string{`"location":"body"`}},
		{name: "replay, no JSON", q: request{Method: "POST", Path: subs + "/billing/dead/replay", Body: `all`}, status: 422, says: []string{`"location":"body"`}},
		{name: "replay, two documents", q: request{Method: "POST", Path: subs + "/billing/dead/replay", Body: `{"ids":[]}{"ids":["0-2-0"]}`}, status: 422, says: []string{`"location":"body"`}},
		{name: "replay, too large", q: request{Method: "POST", Path: subs + "/billing/dead/replay", Body: strings.Repeat(" ", 64<<10+1)}, status: 413},
		{name: "replay, none", q: request{Method: "POST", Path: subs + "/none/dead/replay"}, status: 404},
		{name: "replay, Redis away", q: request{Method: "POST", Path: subs + "/billing/dead/replay"}, broken: "replay", status: 503, says: []string{"3 dead letters were replayed, not all of them", "Retry-After: 1"}},
		{name: "purge all dead", q: request{Method: "DELETE", Path: subs + "/billing/dead"}, status: 200, says: []string{`{"purged":3,"remaining":0}`}, steps: "purgedead all 3"},
		{name: "purge some dead", q: request{Method: "DELETE", Path: subs + "/billing/dead?id=0-1-0&id=0-2-0&id=0-9-9"}, status: 200, says: []string{`{"purged":2,"remaining":0,"missing":1}`}, steps: "purgedead 2"},
		{name: "purge dead, bad id", q: request{Method: "DELETE", Path: subs + "/billing/dead?id=x"}, status: 422, says: []string{`"location":"id"`}},
		{name: "purge dead, empty id", q: request{Method: "DELETE", Path: subs + "/billing/dead?id="}, status: 422, says: []string{`"location":"id"`}},
		{name: "list dead that match", q: request{Method: "GET", Path: subs + "/billing/dead?q=TEXT&order=newest&limit=1"}, status: 200, says: []string{`"id":"0-3-0"`, `"searched":2`, `"next":"0-2-0"`}},
		{name: "list dead, blank match", q: request{Method: "GET", Path: subs + "/billing/dead?q="}, status: 422, says: []string{`"location":"q"`}},
		{name: "count dead", q: request{Method: "GET", Path: subs + "/billing/dead/count?q=text"}, status: 200, says: []string{`{"matching":2,"searched":3,"until":"0-3-0"}`}},
		{name: "replay dead that match", q: request{Method: "POST", Path: subs + "/billing/dead/replay", Body: `{"match":"text","until":"0-2-0"}`}, status: 200, says: []string{`{"replayed":1,"remaining":0}`}, steps: "replay 1"},
		{name: "replay dead, blank match", q: request{Method: "POST", Path: subs + "/billing/dead/replay", Body: `{"match":" "}`}, status: 422, says: []string{`"location":"match"`}},
		{name: "replay dead, ids and match", q: request{Method: "POST", Path: subs + "/billing/dead/replay", Body: `{"match":"x","ids":["0-1-0"]}`}, status: 422},
		{name: "replay dead, a place and no match", q: request{Method: "POST", Path: subs + "/billing/dead/replay", Body: `{"after":"0-1-0"}`}, status: 422, says: []string{"belong to a search"}},
		{name: "purge dead that match", q: request{Method: "DELETE", Path: subs + "/billing/dead?q=text&after=0-1-0"}, status: 200, says: []string{`{"purged":1,"remaining":0}`}, steps: "purgedead 1"},
		{name: "purge dead, blank match", q: request{Method: "DELETE", Path: subs + "/billing/dead?q="}, status: 422, says: []string{`"location":"q"`}},
		{name: "purge dead, a place and no match", q: request{Method: "DELETE", Path: subs + "/billing/dead?until=0-1-0"}, status: 422},
		{name: "purge dead, none", q: request{Method: "DELETE", Path: subs + "/none/dead"}, status: 404},
	})
}

// TestDeadPages: every letter once, whatever ends a page.
func TestDeadPages(t *testing.T) {
	for query, perPage := range map[string]int{"limit=1": 1, "limit=9": 9, "limit=10": 10, "limit=11": 11} {
		f := paneltest.New("billing")
		for i := range 23 {
			f.Letters = append(f.Letters, medispatcher.DeadLetter{ID: fmt.Sprintf("0-%d-0", i+1), Message: medispatcher.Message{Topic: "a"}})
		}
		h := paneltest.Handler(f, panel.Config{})
		var ids []string
		for after := "&"; after != ""; {
			var page struct {
				Letters []struct{ ID string } `json:"dead_letters"`
				Next    string
			}
			w := paneltest.Do(t, h, request{Method: "GET", Path: subs + "/billing/dead?" + query + after})
			if err := json.Unmarshal(w.Body.Bytes(), &page); err != nil || w.Code != http.StatusOK {
				t.Fatal(w.Code, err)
			}
			if len(page.Letters) != min(perPage, 23-len(ids)) || len(page.Letters) == 0 {
				t.Fatalf("%s: a page of %d after %d", query, len(page.Letters), len(ids))
			}
			for _, l := range page.Letters {
				ids = append(ids, l.ID)
			}
			after = ""
			if page.Next != "" {
				after = "&after=" + page.Next
			}
		}
		if len(ids) != 23 || ids[0] != "0-1-0" || ids[22] != "0-23-0" {
			t.Errorf("%s: %v", query, ids)
		}
	}
}
