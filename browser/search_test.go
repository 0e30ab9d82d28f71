package browser_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

// TestSearchAndReplay: an operator finds dead letters by a text, from any page, and replays exactly those that match.
func TestSearchAndReplay(t *testing.T) {
	p, w := startPanel(t), newWorker(t)
	w.set(func(w *worker) { w.broken = "no room" })
	p.api("PUT", "/subscriptions/billing", fmt.Sprintf(`{"topic":"order.*","urls":[%q],"max_retries":0}`, w.URL))
	for i := range 12 {
		body := fmt.Sprintf(`{"customer":"red-%d"}`, i)
		if i%3 == 0 {
			body = fmt.Sprintf(`{"customer":"blue-%d"}`, i)
		}
		p.api("POST", "/topics/order.created/messages", body)
	}
	b := newBrowser(t)
	b.signIn(p, "/subscriptions/billing")
	b.shows("#tiles", "DEAD\n12")
	w.set(func(w *worker) { w.broken = "" })

	b.do("search with the slash", slash(), chromedp.SendKeys(chromedp.CSS("#find:focus"), "BLUE\r"))
	b.shows("main", "Dead letters of billing")
	b.sees("four letters", `document.querySelectorAll("main .hits li").length === 4`)
	b.do("show them in their list", click(`main a[href="/subscriptions/billing/dead?q=BLUE"]`))
	b.shows("#letters", "4 dead letters found among the 12 searched")

	// What dies after the count stays, and so does what does not match.
	b.do("replay those that match", click(`[data-yes="Replay matching"]`))
	b.shows("#ask-title", "Replay 4 dead letters that match “BLUE”")
	b.do("yes", click("#ask-yes"))
	b.shows("#notice", "Replayed. 4 dead letters.")
	w.await(t, "the replayed messages", func() bool { return len(w.bodies) == 4 })
	for _, body := range w.took() {
		if !strings.Contains(body, "blue") {
			t.Errorf("the worker got %s, which does not match", body)
		}
	}
	b.open(p.url + "/subscriptions/billing/dead?q=red")
	b.do("purge those that match", click(`[data-yes="Purge matching"]`))
	b.shows("#ask-title", "Purge 8 dead letters that match “red”")
	b.do("type the id", chromedp.SendKeys(chromedp.CSS("#ask-input"), "billing"), click("#ask-yes"))
	b.shows("#notice", "Purged. 8 dead letters.")
	b.open(p.url + "/subscriptions/billing/dead")
	b.shows("#letters", "No dead letters here")

	// The page of a message stays at its address while the message comes and goes.
	b.open(p.url + "/topics")
	b.do("open the topic", click("#topics tbody th a"))
	b.shows("#wanting", "billing")
	b.complaints()
}

// TestTimeZone: a page shows the times of the browser's zone or of UTC, and says which.
func TestTimeZone(t *testing.T) {
	p := startPanel(t)
	p.api("PUT", "/subscriptions/s", `{"topic":"a","urls":["http://127.0.0.1:1/"]}`)
	b := newBrowser(t, chromedp.Env("TZ=Asia/Kolkata"))
	b.signIn(p, "/subscriptions/s")
	b.shows("#zone", "UTC+5:30")
	local := b.eval(`document.querySelector("#history time").title`)
	b.do("show UTC", click("#zone"))
	b.sees("UTC", `document.getElementById("zone").textContent === "UTC"`)
	utc := b.eval(`document.querySelector("#history time").title`)
	if hours := b.eval(fmt.Sprintf(`String((Date.parse(%q.replace(" ", "T")) - Date.parse(%q.replace(" ", "T"))) / 3600000)`, local, utc)); hours != "5.5" {
		t.Errorf("%s in Kolkata is %s in UTC, %s hours apart, want 5.5", local, utc, hours)
	}
	b.open(p.url + "/subscriptions/s")
	b.shows("#zone", "UTC")
	b.complaints()
}
