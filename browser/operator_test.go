package browser_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

// TestOperator goes through an operator's night: sign in, make a subscription, see a message delivered,
// change the concurrency, see why a broken worker fails, and replay the dead letter.
func TestOperator(t *testing.T) {
	p, w := startPanel(t), newWorker(t)
	b := newBrowser(t)

	// A wrong token is refused; the right one leads to the page that was asked for.
	b.open(p.url + "/subscriptions")
	b.do("sign in with a wrong token", fill("#token", "not-the-token"), click("main button[type=submit]"))
	b.shows("[role=alert]", "That is not a token")
	b.do("sign in with the right token", fill("#token", token), click("main button[type=submit]"))
	b.shows("main", "There are no subscriptions yet")

	// Mistakes are shown beside their fields, both those that the page finds and those that the API finds.
	b.do("create a subscription", click(".head .button"), fill("#f-id", "billing"), click("main [type=submit]"))
	b.shows(`.field[data-name=topic] .error`, "empty")
	b.do("send wrong values", fill("#f-topic", "order..x"), fill("#f-urls", w.URL), fill("#f-concurrency", "99999"), click("main [type=submit]"))
	b.shows(`.field[data-name=concurrency] .error`, "1500")
	b.shows(`.field[data-name=topic] .error`, "level")
	b.shows("[data-summary]", "2 fields are wrong")
	b.do("correct the values", fill("#f-topic", "order.*"), fill("#f-concurrency", "1"), fill("#f-max_retries", "0"), click("main [type=submit]"))
	b.shows("#notice", "billing is created")
	b.shows("h1", "billing")

	// A message is delivered.
	b.open(p.url + "/publish?topic=order.created")
	b.shows("#watch", "billing")
	b.do("publish", fill("#p-body", `{"order":42}`), click("#publish [type=submit]"))
	b.shows("#sent", "Settled: the subscription")
	b.shows("#watch", "(+1)")
	if got := w.took(); len(got) != 1 || got[0] != `{"order":42}` {
		t.Errorf(`the worker got %q, want one body {"order":42}`, got)
	}

	// Four messages wait for a slow worker. It gets one at a time, and four once the concurrency is changed.
	hold := make(chan struct{})
	w.set(func(w *worker) { w.hold = hold })
	for i := range 4 {
		p.api("POST", "/topics/order.created/messages", fmt.Sprint(i))
	}
	b.open(p.url + "/subscriptions/billing")
	w.await(t, "one request", func() bool { return w.inside == 1 })
	b.do("set the concurrency", fill("#f-concurrency", "4"), click("#params [type=submit]"))
	b.shows("#notice", "Saved: concurrency")
	w.await(t, "four requests at once", func() bool { return w.inside == 4 })
	close(hold)
	w.set(func(w *worker) { w.hold = nil })
	w.await(t, "five deliveries", func() bool { return len(w.bodies) == 5 })

	// Somebody else changes the subscription meanwhile: both changes are in effect at the end.
	p.api("PATCH", "/subscriptions/billing", `{"timeout":"3s"}`)
	b.sees("a note of the other change", `!document.getElementById("changed").hidden`)
	b.do("save an outdated form", fill("#f-retry_concurrency", "5"), click("#params [type=submit]"))
	b.shows("[data-summary]", "timeout: 5s → 3s")
	b.do("save again", click("#params [type=submit]"))
	b.shows("#notice", "Saved: retry_concurrency")
	if doc := p.api("GET", "/subscriptions/billing", ""); !strings.Contains(doc, `"timeout":"3s"`) || !strings.Contains(doc, `"retry_concurrency":5`) {
		t.Errorf("got %s, want timeout 3s and retry_concurrency 5", doc)
	}

	// The worker breaks: the page shows the failed message, the worker's answer and its URL.
	w.set(func(w *worker) { w.broken = "the disk is full" })
	b.do("set two retries", fill("#f-max_retries", "2"), fill("#f-retry_coefficient", "1h"), click("#params [type=submit]"))
	b.shows("#notice", "Saved: max_retries, retry_coefficient")
	p.api("POST", "/topics/order.created/messages", "retries")
	b.shows("#failing", "status 500: the disk is full")
	b.shows("#failing", w.URL)
	b.shows("#head", "1 message failed and will be tried again")

	// There are no alert receivers yet: the test alert says so.
	b.open(p.url + "/alerts")
	b.shows("#firing", "No alert is firing")
	b.do("send a test alert", click("[data-yes=Send]"), click("#ask-yes"))
	b.shows("#notice", "there are no receivers: set MEDIS_ALERT_URLS")
	b.open(p.url + "/subscriptions/billing")

	// Kick asks first; Escape cancels.
	b.do("kick and cancel", click(`[data-yes=Kick]`), chromedp.WaitVisible(chromedp.CSS("#ask")), chromedp.KeyEvent("\x1b"))
	b.sees("no dialog", `!document.getElementById("ask").open`)
	b.do("kick", click(`[data-yes=Kick]`), click("#ask-yes"))
	b.shows("#notice", "Kicked. 1 message is due now")
	b.shows("#failing td[data-label=Attempts]", "2")
	b.do("kick again", click(`[data-yes=Kick]`), click("#ask-yes"))
	b.shows("#tiles", "DEAD\n1")

	// The dead letter is listed with its failure record and is replayed.
	b.open(p.url + "/dead")
	b.do("open the subscription", click("#dead a"))
	b.shows("#letters", "status 500: the disk is full")
	b.do("open the dead letter", click("#letters tbody th a"))
	b.shows("main", "retries")
	w.set(func(w *worker) { w.broken = "" })
	b.do("replay", click("[data-yes=Replay]"), click("#ask-yes"))
	b.shows("#notice", "Replayed. 1 dead letter.")
	b.shows("#letters", "No dead letters here")
	w.await(t, "the replayed message", func() bool { return len(w.bodies) == 6 })

	// Pause and resume ask first; purge asks for the id.
	b.open(p.url + "/subscriptions/billing")
	b.do("pause", click("[data-yes=Pause]"), click("#ask-yes"))
	b.shows("#notice", "billing is paused")
	b.shows("#head", "Paused: nothing is pushed")
	p.api("POST", "/topics/order.created/messages", "waits")
	b.shows("#tiles", "READY\n1")
	b.do("purge", click("[data-yes=Purge]"), chromedp.WaitVisible(chromedp.CSS("#ask-input")))
	b.sees("a disabled yes button", `document.getElementById("ask-yes").disabled`)
	b.do("type the id", chromedp.SendKeys(chromedp.CSS("#ask-input"), "billing"), click("#ask-yes"))
	b.shows("#notice", "1 READY and 0 BURIED")
	b.do("resume", click("[data-yes=Resume]"), click("#ask-yes"))
	b.shows("#notice", "billing is resumed")
	b.open(p.url + "/subscriptions/billing")
	b.shows(".history", "paused: false → true")

	// The dispatcher stops: the page says that it is stale and keeps what it shows.
	p.stop()
	b.shows("#stale", "cannot be reached")
	b.shows("#tiles", "READY")
	b.complaints()
}

// TestSignInOverPlainHTTP: over an insecure connection the browser sends no Sec-Fetch-Site. The
// pages work nevertheless.
func TestSignInOverPlainHTTP(t *testing.T) {
	p := startPanel(t)
	b := newBrowser(t, chromedp.Flag("host-resolver-rules", "MAP panel.test 127.0.0.1"))
	p.api("PUT", "/subscriptions/s", `{"topic":"a","urls":["http://127.0.0.1:1/"]}`)
	b.signIn(&panel{t: t, url: strings.Replace(p.url, "127.0.0.1", "panel.test", 1)}, "/subscriptions/s")
	b.do("pause", click("[data-yes=Pause]"), click("#ask-yes"))
	b.shows("#notice", "s is paused")
	b.do("sign out", click(".session form button"))
	b.sees("the sign-in page", `location.pathname === "/signin"`)
	b.open(p.url + "/subscriptions")
	b.sees("the sign-in page", `location.pathname === "/signin"`)
}

// TestHostileMessages: messages that contain HTML, scripts and control characters are shown as text, on every page
// that shows messages.
func TestHostileMessages(t *testing.T) {
	p, w := startPanel(t), newWorker(t)
	const evil = `<script>window.hacked=1</script><img src=x onerror="window.hacked=1">'"` + "\u202ethgir-ot-tfel"
	w.set(func(w *worker) { w.broken = evil })
	p.api("PUT", "/subscriptions/evil", fmt.Sprintf(`{"topic":"evil.*","urls":[%q],"max_retries":0}`, w.URL+"/?<script>window.hacked=1</script>"))
	p.api("PUT", "/subscriptions/slow", fmt.Sprintf(`{"topic":"evil.*","urls":[%q],"retry_coefficient":"1h"}`, w.URL))
	for _, body := range []string{evil, evil + "\x00\x1b[31m\x07\u2028", strings.Repeat("🦄", 1<<18), `{"a":"` + strings.Repeat(evil, 100) + `"}`} {
		p.api("POST", "/topics/evil.x/messages", strings.ReplaceAll(body, `"a":"<`, `"a": "<`), "Content-Type", "text/html; x="+strings.Repeat("<b>", 80),
			"medis-sender", "<script>window.hacked=1</script>", "medis-header-x", strings.Repeat("<script>window.hacked=1</script>", 400))
	}
	b := newBrowser(t)
	b.signIn(p, "/subscriptions/evil/dead")
	b.sees("four dead letters", `document.querySelectorAll("[data-letter]").length === 4`)
	unharmed := func(where string) {
		t.Helper()
		b.sees(where+" loaded", `document.readyState === "complete"`)
		if got := b.eval(`String(window.hacked) + document.querySelectorAll("main img, main script").length + " " + (document.documentElement.scrollWidth <= innerWidth)`); got != "undefined0 true" {
			t.Errorf("%s: hacked, elements, fits the width: got %s, want undefined0 true", where, got)
		}
	}
	unharmed("the dead letters")
	var letters []string
	for id := range strings.SplitSeq(b.eval(`[...document.querySelectorAll("[data-letter]")].map(e => e.dataset.letter).join()`), ",") {
		letters = append(letters, "/subscriptions/evil/dead/"+id)
	}
	for _, path := range append(letters, "/subscriptions/evil/dead?q=%3Cscript%3E", "/subscriptions/slow", "/subscriptions/evil", "/dead", "/alerts", "/", "/subscriptions?q=%3Cscript%3E", "/publish?topic=evil.x") {
		b.open(p.url + path)
		unharmed(path)
	}
	b.open(p.url + "/subscriptions/slow")
	b.shows("#failing", `\u202ethgir`)
	// Scripts show a message that they get from the API. They must show it as text, too.
	b.do("open the message", click("#failing tbody th a"))
	b.shows("#places", `<script>window.hacked=1</script>`)
	unharmed("the page of a message")
	id := b.eval(`document.querySelector("h1").textContent.trim()`)
	b.do("look for its id with the slash", slash(), chromedp.SendKeys(chromedp.CSS("#find:focus"), id+"\r"))
	b.shows("[data-found]", `<script>window.hacked=1</script>`)
	b.shows("[data-found]", `\u202ethgir`)
	unharmed("what a search found")
	b.open(p.url + "/search?q=%3Cscript%3E")
	b.shows("main", "Dead letters of evil")
	unharmed("a search")
	b.complaints()
}
