package web_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/cmd/medispatcher/panel"
	"github.com/solate/medispatcher/cmd/medispatcher/panel/paneltest"
)

// TestDeliveriesPage: what was asked for is shown, and stays in the address and in the links.
func TestDeliveriesPage(t *testing.T) {
	f := paneltest.New("billing")
	for i := range 120 {
		a := medispatcher.Attempt{Time: time.UnixMilli(int64(5000 - i)), Message: fmt.Sprint("order/", i), Topic: "order.x", Outcome: "sent", Status: 200, TookMS: 1.5, Answer: "taken"}
		if i%2 == 1 {
			a.Outcome, a.Status, a.Error, a.Answer = "failed", 503, "status 503: <b>busy", "<b>busy"
		}
		a.ID = medispatcher.AttemptID(a.Time, "d", uint64(i))
		f.Ended = append(f.Ended, a)
	}
	h := paneltest.Handler(f, panel.Config{Rules: paneltest.Rules})
	for path, want := range map[string][]string{
		"":                                     {"50 of 120 shown", `href="/messages/order%2F0"`, "<q>taken</q>", "1.5 ms", "status 503: &lt;b&gt;busy", `href="/subscriptions/billing/deliveries?after=4951-d-49"`},
		"?outcome=failed&status=5xx&text=busy": {"50 of 120 shown", "<option selected>failed</option>", `value="5xx"`, `value="busy"`, "&amp;outcome=failed&amp;status=5xx&amp;text=busy", "Show all"},
		"?outcome=failed&after=4901-d-99":      {"10 of 120 shown", `href="/subscriptions/billing/deliveries?outcome=failed">First page`},
		"?text=nowhere":                        {"None of 120 matches"},
		"?status=5xxx":                         {"is not a status such as 503", `aria-invalid="true"`},
		"?outcome=released":                    {"is none of sent, failed, dead, dropped"},
	} {
		w := paneltest.Get(t, h, "/subscriptions/billing/deliveries"+path)
		if w.Code != http.StatusOK {
			t.Errorf("%s: %d", path, w.Code)
		}
		for _, text := range want {
			if !strings.Contains(w.Body.String(), text) {
				t.Errorf("%s: %s is not in %s", path, text, w.Body)
			}
		}
	}
}

// TestMessagePage: a permalink leads to where a message is.
func TestMessagePage(t *testing.T) {
	h := paneltest.Handler(paneltest.New("billing"), panel.Config{Rules: paneltest.Rules})
	if w := paneltest.Get(t, h, "/messages/m-1"); w.Code != http.StatusOK || !strings.Contains(w.Body.String(), `<a href="/subscriptions/billing">billing</a>`) || !strings.Contains(w.Body.String(), "READY") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if w := paneltest.Get(t, h, "/messages/none%2Fx"); w.Code != http.StatusNotFound || !strings.Contains(w.Body.String(), "Nothing is known of it") || !strings.Contains(w.Body.String(), "none/x") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}
