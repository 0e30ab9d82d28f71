package medispatcher

import (
	"net/url"
	"strings"
	"testing"
	"testing/quick"
)

func TestWebhookID(t *testing.T) {
	for _, tc := range []struct {
		id        string
		generated bool
		want      string
	}{
		{"0-1700000000123-0", true, "0-1700000000123-0"},
		{"0-1700000000123-0", false, "0%2D1700000000123-0"},
		{"0%2D1700000000123-0", false, "0%252D1700000000123-0"},
		{"order-42_A", false, "order-42_A"},
		{"order.42", false, "order%2E42"},
		{"a b/é%", false, "a%20b%2F%C3%A9%25"},
		{"1-2", false, "1-2"},
		{"1-2-3-4", false, "1-2-3-4"},
		{"", false, ""},
	} {
		m := Message{ID: tc.id, Generated: tc.generated}
		if got := m.WebhookID(); got != tc.want {
			t.Errorf("%q, generated %t: %q, want %q", tc.id, tc.generated, got, tc.want)
		}
	}
}

// TestWebhookIDsDoNotCollide: a producer's id can be told from its escaped form, so no
// two share one, and none has the form of a generated id.
func TestWebhookIDsDoNotCollide(t *testing.T) {
	check := func(id string) bool {
		escaped := (&Message{ID: id}).WebhookID()
		back, err := url.PathUnescape(escaped)
		return err == nil && back == id && !looksGenerated(escaped) && !strings.ContainsAny(escaped, ".\r\n ")
	}
	lookalike := func(partition uint8, ms uint64, seq uint16) bool {
		generated := Message{ID: strings.Join([]string{utoa(uint64(partition)), utoa(ms), utoa(uint64(seq))}, "-"), Generated: true}
		return check(generated.ID) && generated.WebhookID() == generated.ID
	}
	if err := quick.Check(check, &quick.Config{MaxCount: 5000}); err != nil {
		t.Error(err)
	}
	if err := quick.Check(lookalike, &quick.Config{MaxCount: 5000}); err != nil {
		t.Error(err)
	}
}
