package api_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/cmd/internal/access"
	"github.com/solate/medispatcher/cmd/medispatcher/panel"
	"github.com/solate/medispatcher/cmd/medispatcher/panel/paneltest"
)

// TestEveryChangeIsNoted: every operation that changes something is in the audit trail, or in the history of subscriptions.
func TestEveryChangeIsNoted(t *testing.T) {
	t.Parallel()
	fill := strings.NewReplacer("{topic}", "order.created", "{id}", "billing", "{letter}", "0-1-1", "{message}", "0-1-1")
	for path, operations := range document(t, apiHandler()).Paths {
		for method, op := range operations {
			if method == "get" || op.Role == access.Publisher || op.OperationID == "try-filter" { // they change nothing, or publish
				continue
			}
			f := paneltest.Full()
			body := "{}"
			if method == "put" {
				body = `{"id":"billing","topic":"order.*","urls":["http://h/"],"concurrency":3}` // a line of many, too
			}
			if strings.HasSuffix(op.OperationID, "-subscriptions") && method != "put" {
				body = `{"ids":["billing"]}`
			}
			if op.OperationID == "patch-subscriptions" {
				body = `{"ids":["billing"],"patch":{"concurrency":3}}`
			}
			if op.OperationID == "replay-subscription" {
				body = `{"since":"2h"}`
			}
			h := paneltest.Handler(f, panel.Config{Tokens: paneltest.Tokens(), Rules: paneltest.Rules, MaxBody: 100})
			q := request{Method: strings.ToUpper(method), Path: fill.Replace(path), Body: body, Header: []string{"Authorization", "Bearer the-token-of-admin"}}
			w := paneltest.Do(t, h, q)
			inHistory := strings.Contains(fmt.Sprint(f.Steps), "put billing") || strings.Contains(fmt.Sprint(f.Steps), "patch billing") || strings.Contains(fmt.Sprint(f.Steps), "remove billing")
			noted := len(f.Noted) == 1 && f.Noted[0].What == op.OperationID && f.Noted[0].By == "api admin" && f.Noted[0].From == "192.0.2.1"
			if w.Code >= 300 && w.Code != 409 || !noted && !inHistory && w.Code != 409 {
				t.Errorf("%s: %d, noted %+v, did %v", op.OperationID, w.Code, f.Noted, f.Steps)
			}
			if strings.Contains(path, "{id}") && len(f.Noted) > 0 && f.Noted[0].Subscription != "billing" {
				t.Errorf("%s: noted for %q", op.OperationID, f.Noted[0].Subscription)
			}
		}
	}
}

func TestAudit(t *testing.T) {
	t.Parallel()
	f := paneltest.Full()
	h := paneltest.Handler(f, panel.Config{Rules: paneltest.Rules})
	do := func(method, path, body string) string {
		return paneltest.Do(t, h, request{Method: method, Path: path, Body: body}).Body.String()
	}
	do("POST", subs+"/billing/dead/replay", `{"ids":["0-1-1","0-1-2"]}`)
	do("POST", subs+"/billing/dead/replay", `{"ids":[]}`) // 422
	f.Broken, f.Err = "purge", paneltest.ErrRedis
	do("POST", subs+"/billing/purge", "")
	f.Broken = ""
	var list struct{ Deeds []medispatcher.Deed }
	if err := json.Unmarshal([]byte(do("GET", "/api/v1/audit", "")), &list); err != nil || len(list.Deeds) != 2 {
		t.Fatalf("%v %+v", err, list)
	}
	failed, replayed := list.Deeds[0], list.Deeds[1]
	if failed.What != "purge-subscription" || !strings.Contains(failed.Error, "connection refused") || failed.By != "api 192.0.2.1" {
		t.Errorf("%+v", failed)
	}
	if replayed.What != "replay-dead-letters" || replayed.Subscription != "billing" || replayed.Named != 2 || fmt.Sprint(replayed.IDs) != "[0-1-1 0-1-2]" || replayed.Counts["replayed"] == 0 {
		t.Errorf("%+v", replayed)
	}
	if got := do("GET", "/api/v1/audit?limit=1", ""); !strings.Contains(got, `"next":"2-0"`) {
		t.Errorf("a page: %s", got)
	}
	if got := do("GET", "/api/v1/audit.ndjson", ""); strings.Count(got, "\n") != 2 || !json.Valid([]byte(strings.SplitN(got, "\n", 2)[0])) {
		t.Errorf("the export: %s", got)
	}
	// What Redis does not take down was done all the same, and the answer says so.
	f.Broken, f.Err = "note", paneltest.ErrRedis
	if got := do("POST", subs+"/billing/kick", ""); !strings.Contains(got, "kicked") {
		t.Errorf("not noted: %s", got)
	}
}
