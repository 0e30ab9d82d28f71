package browser_test

import (
	"strings"
	"testing"
)

// TestLongNames: on a phone, no page is wider than its window because an id or a topic is as long as it may be.
func TestLongNames(t *testing.T) {
	t.Parallel()
	p := startPanel(t)
	id, topic := strings.Repeat("A", 64), "a."+strings.Repeat("level-of-many."+strings.Repeat("x", 60)+".", 2)+"end"
	p.api("PUT", "/subscriptions/"+id, `{"topic":">","urls":["http://127.0.0.1:9/`+strings.Repeat("path-", 60)+`"],"paused":true}`)
	p.api("POST", "/topics/"+topic+"/messages", `{}`)
	b := newBrowser(t)
	b.signIn(p, "/")
	for _, path := range []string{
		"/", "/subscriptions", "/subscriptions/" + id, "/subscriptions/" + id + "/deliveries", "/subscriptions/" + id + "/dead", "/subscriptions/" + id + "/test",
		"/topics", "/topics/" + topic, "/publish?topic=" + topic, "/search?q=AAAA", "/audit", "/alerts",
	} {
		b.open(p.url + path)
		shoot(b, "", path)
	}
	b.complaints()
}
