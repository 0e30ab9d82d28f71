package browser_test

import (
	"fmt"
	"testing"
)

// TestReplay: an operator has messages of the archive delivered again, and stops a replay that waits for its subscription.
func TestReplay(t *testing.T) {
	t.Setenv("MEDIS_RETENTION", "1h")
	p, w := startPanel(t), newWorker(t)
	b := newBrowser(t)
	p.api("PUT", "/subscriptions/billing", fmt.Sprintf(`{"topic":"order.*","urls":[%q]}`, w.URL))
	for i := range 3 {
		p.api("POST", "/topics/order.created/messages", fmt.Sprint(i))
	}
	w.await(t, "three deliveries", func() bool { return len(w.bodies) == 3 })

	b.signIn(p, "/subscriptions/billing")
	b.shows("#replay", "The archive holds 3 messages")
	b.do("send a wrong time", fill("#r-since", "banana"), click("form[data-replay] [type=submit]"))
	b.shows(".field[data-name=since] .error", "neither a duration")
	b.do("ask for another topic", fill("#r-since", "2h"), fill("#r-topic", "order.paid"), click("form[data-replay] [type=submit]"))
	b.shows("#notice", "There is nothing to replay")
	b.do("count", fill("#r-topic", "order.*"), click("form[data-replay] [type=submit]"))
	b.shows("#ask", "Deliver 3 messages to billing again?")
	b.shows("#ask", "the archive begins at")
	b.do("replay", click("#ask-yes"))
	b.shows("#notice", "The replay has begun")
	w.await(t, "six deliveries", func() bool { return len(w.bodies) == 6 })

	// Nobody takes what a paused subscription gets, so the replay ends once all of it is in the channel.
	p.api("POST", "/subscriptions/billing/pause", "")
	b.do("replay once more", fill("#r-since", "2h"), click("form[data-replay] [type=submit]"), click("#ask-yes"))
	b.shows("#tiles", "READY\n3")
	b.shows("#replay", "The archive holds 3 messages")
	b.complaints()
}
