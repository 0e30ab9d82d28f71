package alert

import (
	"strings"
	"testing"

	"github.com/solate/medispatcher"
)

// TestQuoted: what a worker answered mentions nobody, links to nothing and marks nothing up.
func TestQuoted(t *testing.T) {
	for from, want := range map[string]string{
		"status 500: database is down":                  "status 500: database is down",
		"<!channel> @everyone @here <@U123>":            "‹!channel› ＠everyone ＠here ‹＠U123›",
		"[click](https://evil.example/x?a=1&b=2)":       "(click)(https[:]//evil[.]example/x?a=1＆b=2)",
		"<https://evil.example|your bank> www.evil.de":  "‹https[:]//evil[.]example¦your bank› www[.]evil[.]de",
		"*bold* _it_ ~gone~ `code` snake_case":          "∗bold∗ ‗it‗ ∼gone∼ 'code' snake_case",
		"<b onclick=x>":                                 "‹b onclick=x›",
		"dial tcp 10.0.0.7:80: connection refused":      "dial tcp 10.0.0[.]7:80: connection refused",
		"http://10.0.0.7/x 1.2.3 took 1.5s.":            "http[:]//10.0.0[.]7/x 1.2.3 took 1.5s.",
		"x.ab.cd a.bc.de.fg":                            "x[.]ab[.]cd a[.]bc[.]de[.]fg",
		"пример.рф bücher.example evil.онлайн 例え.テスト.網": "пример[.]рф bücher[.]example evil[.]онлайн 例え[.]テスト[.]網",
		"💩.la evil．example evil。example 失败。重试":          "💩[.]la evil[.]example evil[.]example 失败。重试",
		"１０.０.０.７":                                      "１０.０.０[.]７",
		"two\nlines\x00":                                "two lines ",
	} {
		if got := quoted(from); got != want {
			t.Errorf("%q: %q, want %q", from, got, want)
		}
	}
}

// TestTextsQuoteWhatOthersWrote: in every text of every rule.
func TestTextsQuoteWhatOthersWrote(t *testing.T) {
	texts, err := LoadTexts("")
	if err != nil {
		t.Fatal(err)
	}
	const hostile = "<!channel> @everyone [x](https://evil.example) *b*"
	for _, rule := range names() {
		n := medispatcher.Notice{Kind: medispatcher.NoticeAlert, Alert: medispatcher.Alert{Rule: rule, Subscription: "s",
			AlertFacts: medispatcher.AlertFacts{LastError: hostile, Message: hostile}}}
		for _, name := range parts(&n) {
			for _, bad := range []string{"<!", "@everyone", "https://evil", "evil.example", "](", "*b*"} {
				if text := texts.part(name, &n); strings.Contains(text, bad) {
					t.Errorf("%s: %q is in %q", name, bad, text)
				}
			}
		}
	}
}
