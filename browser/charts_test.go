package browser_test

import (
	"fmt"
	"testing"

	"github.com/chromedp/chromedp"
)

// TestCharts: what is counted, how long it took and by which status it failed is drawn, and the period that is not over is no fall.
func TestCharts(t *testing.T) {
	p, w := startPanel(t), newWorker(t)
	w.set(func(w *worker) { w.broken = "no room" })
	p.api("PUT", "/subscriptions/billing", fmt.Sprintf(`{"topic":"order.*","urls":[%q],"max_retries":0}`, w.URL))
	p.api("POST", "/topics/order.created/messages", `{}`)
	b := newBrowser(t)
	b.signIn(p, "/subscriptions/billing")
	b.shows("#tiles", "DEAD\n1")
	w.set(func(w *worker) { w.broken = "" })
	p.api("POST", "/topics/order.created/messages", `{}`)
	b.shows("[data-chart] .legend", "Failed attempts")
	b.sees("the rings of the minute that is not over", `document.querySelectorAll("[data-chart] .plot circle").length === 2 && document.querySelector("[data-chart] .sofar")`)
	b.open(p.url + "/")
	b.shows("[data-chart] .legend", "Messages received")
	b.sees("what failed by status", `[...document.querySelectorAll("[data-times] .legend")].some((l) => l.textContent === "500")`)
	b.shows("[data-times]", "1 delivery in all")
	b.sees("a single delivery, wide enough to see", `document.querySelector("[data-times] path.p99").getTotalLength() > 3`)
	b.do("read a value by the keyboard", chromedp.Evaluate[chromedp.Void](`document.querySelector("[data-times] .plot").dispatchEvent(new KeyboardEvent("keydown", { key: "Home", bubbles: true })) && undefined`))
	b.sees("the first minute", `document.querySelector("[data-times] .readout").textContent.endsWith(": none")`)
	b.do("show hours", click(`[data-times] .switch button:last-child`))
	b.shows("[data-times]", "1 delivery in all")
	b.complaints()
}
