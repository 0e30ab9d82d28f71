package browser_test

import (
	"encoding/json"
	"fmt"
	"testing"
)

// TestUnrouted: a mistyped topic is seen, found, and replayed once somebody wants it.
func TestUnrouted(t *testing.T) {
	p, w := startPanel(t), newWorker(t)
	p.api("PUT", "/subscriptions/billing", fmt.Sprintf(`{"topic":"order.created","urls":[%q]}`, w.URL))
	b := newBrowser(t)
	b.signIn(p, "/publish?topic=order.craeted")
	b.shows("main", "Did you mean order.created?")
	b.do("publish it all the same", click("#publish [type=submit]"))
	b.shows("#sent", "is kept")
	b.open(p.url + "/")
	b.shows("#findings", "1 message that no subscription wanted.")
	b.do("go there", click(`#findings a[href="/unrouted"]`))
	b.shows("#kept", "order.craeted")

	// Nobody wants it still: it comes back, and the page says so.
	b.do("replay all", click(`[data-yes="Replay all"]`), click("#ask-yes"))
	b.shows("#notice", "No subscription wants 1 of them now")
	b.shows("#kept", "1 of 1 shown")

	p.api("PUT", "/subscriptions/typo", fmt.Sprintf(`{"topic":"order.craeted","urls":[%q]}`, w.URL))
	b.shows("#kept", "by 1 subscription")
	b.do("the message", click("#kept tbody th a"))
	b.shows("main", "No subscription wanted its topic")
	b.do("replay", click("[data-yes=Replay]"), click("#ask-yes"))
	b.shows("#notice", "Replayed. 1 unrouted message.")
	b.shows("#kept", "There are none")
	w.await(t, "the replayed message", func() bool { return len(w.bodies) == 1 })

	var status struct{ Incoming struct{ Unrouted int } }
	if err := json.Unmarshal([]byte(p.api("GET", "/status", "")), &status); err != nil || status.Incoming.Unrouted != 0 {
		t.Errorf("%+v, %v", status, err)
	}
	b.complaints()
}
