package browser_test

import (
	"fmt"
	"strings"
	"testing"
)

// TestBulk: an operator pauses what is ticked, resumes what matches, and changes a parameter of many; the others stay as they are.
func TestBulk(t *testing.T) {
	p := startPanel(t)
	for i := range 60 {
		p.api("PUT", fmt.Sprintf("/subscriptions/shop-%02d", i), `{"topic":"order.*","urls":["http://127.0.0.1:1/"]}`)
	}
	p.api("PUT", "/subscriptions/other", `{"topic":"user.*","urls":["http://127.0.0.1:1/"]}`)
	paused := func() int { return strings.Count(p.api("GET", "/subscriptions", ""), `"paused":true`) }
	b := newBrowser(t)
	b.signIn(p, "/subscriptions?q=shop")
	b.do("tick two and pause them", click(`[data-letter="shop-03"]`), click(`[data-letter="shop-07"]`), click(`#bulk [data-selected][data-yes="Pause"]`))
	b.shows("#ask-title", "Pause 2 subscriptions?")
	b.shows("#ask-text", "shop-03, shop-07. Nothing is pushed")
	b.do("yes", click("#ask-yes"))
	b.shows("#notice", "Paused. 2 subscriptions.")
	if n := paused(); n != 2 {
		t.Errorf("%d are paused, want 2", n)
	}
	b.do("pause all that match", click(`#bulk [data-yes="Pause all"]`))
	b.shows("#ask-title", "Pause 60 subscriptions?")
	b.shows("#ask-text", "shop-07 and 52 more.")
	b.do("yes", click("#ask-yes"))
	b.shows("#notice", "Paused. 60 subscriptions.")
	if doc := p.api("GET", "/subscriptions/other", ""); paused() != 60 || !strings.Contains(doc, `"paused":false`) {
		t.Errorf("%d are paused; the other one is %s", paused(), doc)
	}
	b.sees("no parameter is chosen wrongly", `document.querySelector("#bulk-help").textContent.startsWith("Empty: the default again")`)
	b.do("change many", click("#bulk-change summary"), fill("#bulk-value", "99999"))
	b.eval(`(document.querySelector("#bulk-name").value = "concurrency")`)
	b.do("send a wrong value", click(`[data-form][data-yes="Change all"]`), click("#ask-yes"))
	b.shows("#notice", "shop-00: concurrency")
	b.do("send a right one", fill("#bulk-value", "3"), click(`[data-form][data-yes="Change all"]`), click("#ask-yes"))
	b.shows("#notice", "Changed. 60 subscriptions.")
	if n := strings.Count(p.api("GET", "/subscriptions", ""), `"concurrency":3`); n != 60 {
		t.Errorf("%d have the new concurrency, want 60", n)
	}
	b.complaints()
}
