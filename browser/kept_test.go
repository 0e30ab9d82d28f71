package browser_test

import (
	"encoding/json"
	"fmt"
	"testing"
)

// TestUnrouted: a message with a mistyped topic is kept. The pages show it, and it is replayed once a subscription
// wants its topic.
func TestUnrouted(t *testing.T) {
	p, w := startPanel(t), newWorker(t)
	p.api("PUT", "/subscriptions/billing", fmt.Sprintf(`{"topic":"order.created","urls":[%q]}`, w.URL))
	b := newBrowser(t)
	b.signIn(p, "/publish?topic=order.craeted")
	b.shows("main", "Did you mean order.created?")
	b.do("publish despite the warning", click("#publish [type=submit]"))
	b.shows("#sent", "is kept")
	b.open(p.url + "/")
	b.shows("#findings", "1 message that no subscription wanted.")
	b.do("open the unrouted messages", click(`#findings a[href="/unrouted"]`))
	b.shows("#kept", "order.craeted")

	// No subscription wants it yet: the replayed message comes back, and the page says so.
	b.do("replay all", click(`[data-yes="Replay all"]`), click("#ask-yes"))
	b.shows("#notice", "No subscription wants 1 of them now")
	b.shows("#kept", "1 of 1 shown")

	p.api("PUT", "/subscriptions/typo", fmt.Sprintf(`{"topic":"order.craeted","urls":[%q]}`, w.URL))
	b.shows("#kept", "by 1 subscription")
	b.do("open the message", click("#kept tbody th a"))
	b.shows("main", "No subscription wanted its topic")
	b.do("replay", click("[data-yes=Replay]"), click("#ask-yes"))
	b.shows("#notice", "Replayed. 1 unrouted message.")
	b.shows("#kept", "There are none")
	w.await(t, "the replayed message", func() bool { return len(w.bodies) == 1 })

	var status struct{ Incoming struct{ Unrouted int } }
	if err := json.Unmarshal([]byte(p.api("GET", "/status", "")), &status); err != nil || status.Incoming.Unrouted != 0 {
		t.Errorf("GET /status: got %d unrouted messages and error %v, want none of either", status.Incoming.Unrouted, err)
	}
	b.complaints()
}
