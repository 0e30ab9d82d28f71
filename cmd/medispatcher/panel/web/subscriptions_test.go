package web_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"testing"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/cmd/medispatcher/panel"
	"github.com/solate/medispatcher/cmd/medispatcher/panel/paneltest"
)

// many is a fake with a list of subscriptions that is made once.
type many struct {
	*paneltest.Fake
	list *medispatcher.Subscriptions
}

func (m many) Subscriptions(context.Context) (*medispatcher.Subscriptions, int64, error) {
	return m.list, 1, nil
}

// ChannelStatus: the greater the number in the id, the more is READY.
func (m many) ChannelStatus(_ context.Context, ids []string) ([]medispatcher.ChannelStatus, error) {
	list := make([]medispatcher.ChannelStatus, len(ids))
	for i, id := range ids {
		n, _ := strconv.ParseInt(strings.TrimPrefix(id, "sub-"), 10, 64)
		list[i] = medispatcher.ChannelStatus{ID: id, Ready: n, Dead: n / 9990}
	}
	return list, nil
}

func TestList(t *testing.T) {
	var subs []medispatcher.Subscription
	for i := range 10_000 {
		subs = append(subs, medispatcher.Subscription{ID: fmt.Sprintf("sub-%05d", i), Topic: fmt.Sprintf("order.t%d", i%100), Paused: i%1000 == 7})
	}
	m := many{paneltest.New(), medispatcher.NewSubscriptions(subs...)}
	h := panel.New(panel.Config{Rules: paneltest.Rules}, panel.Deps{
		Registry: m, Store: m, Kicker: m, Alerts: m, Kept: m, Router: paneltest.AnyTopic, Ready: func() error { return nil }, Log: slog.New(slog.DiscardHandler),
	})
	for path, want := range map[string][]string{
		"/subscriptions":                             {"1–50 of 10,000", ">sub-00000</a>", ">sub-00049</a>", "Page 1 of 200"},
		"/subscriptions?page=200":                    {"9,951–10,000 of 10,000", ">sub-09999</a>"},
		"/subscriptions?page=999":                    {"9,951–10,000 of 10,000"},
		"/subscriptions?dir=desc&sort=id":            {">sub-09999</a>"},
		"/subscriptions?q=SUB-0123":                  {"1–10 of 10 found, 10,000 in all", ">sub-01239</a>"},
		"/subscriptions?q=t42":                       {"1–50 of 100 found"},
		"/subscriptions?state=paused":                {"1–10 of 10 found", ">sub-09007</a>"},
		"/subscriptions?sort=ready&dir=desc":         {"1–50 of 10,000", ">9,999</td>", `aria-sort="descending"`},
		"/subscriptions?state=dead":                  {"1–10 of 10 found"},
		"/":                                          {"49,995,000", "10 dead letters", "And 2 more"},
		"/subscriptions?q=none":                      {"None of 10,000 subscriptions matches"},
		"/subscriptions?sort=nothing&state=<&page=x": {"1–50 of 10,000"},
	} {
		page := paneltest.Get(t, h, path).Body.String()
		for _, text := range want {
			if !strings.Contains(page, text) {
				t.Errorf("%s: no %q", path, text)
			}
		}
	}
	if page := paneltest.Get(t, paneltest.Handler(paneltest.New(), panel.Config{Rules: paneltest.Rules}), "/subscriptions").Body.String(); !strings.Contains(page, "medispatcher sub put") {
		t.Error("an empty list does not say what to do:", page)
	}
}

// TestIDsOfAllThatMatch: a script gets exactly those that the list shows, on all of its pages.
func TestIDsOfAllThatMatch(t *testing.T) {
	f := paneltest.New("other")
	for i := range 120 {
		f.Docs[fmt.Sprintf("shop-%03d", i)] = f.Docs["other"]
	}
	h := paneltest.Handler(f, panel.Config{Rules: paneltest.Rules})
	page := paneltest.Get(t, h, "/subscriptions?q=SHOP&page=2").Body.String()
	if !strings.Contains(page, `data-all="/subscriptions?q=SHOP&amp;ids"`) || !strings.Contains(page, "Pause all 120 that match") {
		t.Errorf("the page does not offer to change all: %s", page)
	}
	var ids []string
	if w := paneltest.Get(t, h, "/subscriptions?q=SHOP&ids"); json.Unmarshal(w.Body.Bytes(), &ids) != nil || len(ids) != 120 || ids[0] != "shop-000" || ids[119] != "shop-119" {
		t.Errorf("%d ids: %s", len(ids), w.Body)
	}
}
