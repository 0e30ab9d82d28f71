package medispatcher

import "testing"

func TestRouterNearest(t *testing.T) {
	r := NewRouter([]Subscription{
		{ID: "a", Topic: "order.created"}, {ID: "b", Topic: "order.paid"}, {ID: "c", Topic: "mail.*.sent"}, {ID: "d", Topic: "stock.>"}, {ID: "e", Topic: "a.b"},
	})
	for topic, want := range map[string]string{
		"order.craeted":     "order.created",
		"oder.created":      "order.created",
		"Order.Created":     "order.created",
		"order.paidd":       "order.paid",
		"ordercreated":      "order.created",
		"mail.weekly.snt":   "mail.weekly.sent",
		"stok.berlin.empty": "stock.berlin.empty",
		"x.y":               "",
		"mail":              "",
		"invoice.written":   "",
	} {
		for range 2 { // the second time it is remembered
			if got := r.Nearest(topic); got != want {
				t.Errorf("nearest to %s: %q, want %q", topic, got, want)
			}
		}
	}
	for i := range maxNear + 10 {
		r.Nearest(string(rune('a'+i%26)) + "." + string(rune('a'+i/26%26)) + "." + string(rune('a'+i/676)))
	}
	if len(r.near) > maxNear {
		t.Errorf("%d topics are remembered", len(r.near))
	}
	if near := NewRouter([]Subscription{{ID: "all", Topic: ">"}}).Nearest("bench.0123456789ab"); near != "" {
		t.Errorf("a topic is near to itself: %s", near)
	}
}

func TestDistance(t *testing.T) {
	for _, c := range []struct {
		a, b string
		d    int
	}{{"", "", 0}, {"", "ab", 2}, {"kitten", "sitting", 3}, {"ab", "ba", 2}} {
		if d := distance(c.a, c.b); d != c.d {
			t.Errorf("%q %q: %d, want %d", c.a, c.b, d, c.d)
		}
	}
}
