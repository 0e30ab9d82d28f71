package browser_test

import (
	"fmt"
	"testing"
)

// TestTrial: an operator tries a paused subscription from its page, and sees what went out and what came back.
func TestTrial(t *testing.T) {
	p, w := startPanel(t), newWorker(t)
	p.api("PUT", "/subscriptions/billing", fmt.Sprintf(`{"topic":"order.*","urls":[%q],"paused":true,"headers":{"X-Api-Key":"hunter2hunter2"}}`, w.URL))
	b := newBrowser(t)
	b.signIn(p, "/subscriptions/billing")
	b.do("open the test", click(`#head a[href="/subscriptions/billing/test"]`))
	b.do("push it", fill("#t-body", `{"order":42}`), click("#trial [type=submit]"))
	b.shows("#tried", "Accepted in")
	b.shows("#tried", "Medis-Test: 1")
	b.shows("#tried", "X-Api-Key: ********")
	w.await(t, "the test message", func() bool { return len(w.bodies) == 1 })
	w.set(func(w *worker) { w.broken = "no room" })
	b.do("push it again", click("#trial [type=submit]"))
	b.shows("#tried", "no room")
	b.shows("#tried", "Refused after")
	b.do("ask for another topic", fill("#t-topic", "user.created"), click("#trial [type=submit]"))
	b.shows("#trial [data-problem]", "does not want user.created")
	b.open(p.url + "/subscriptions/billing")
	b.shows("#tiles", "last minute: 0")
	b.complaints()
}
