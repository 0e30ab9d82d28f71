package filter

import (
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/solate/medispatcher"
)

// TestFilter: what expressions say of messages.
func TestFilter(t *testing.T) {
	for _, tc := range []struct{ expr, body, want string }{
		{"body.total > 100 && headers['country'] in ['DE','FR']", `{"total":150}`, "true"},
		{"body.total > 100", `{"total":150.5}`, "true"},
		{"body.total > 100", `{"total":99}`, "false"},
		{"body.total == 150", `{"total":150}`, "true"},
		{"body.total * 1.2 > 100.0", `{"total":150}`, "true"},
		{"int(body.total) % 2 == 0", `{"total":150}`, "true"},
		{"body.total in [1,150]", `{"total":150}`, "true"},
		{"body.id == 9007199254740993", `{"id":9007199254740993}`, "true"},
		{"body.id == 9007199254740993", `{"id":9007199254740992}`, "false"},
		{"body.id == 18446744073709551615u", `{"id":18446744073709551615}`, "true"},
		{"body.id == 18446744073709551615u", `{"id":18446744073709551614}`, "false"},
		{"body.id > 5 && body.id != 9.5 && body.id in [1u, 18446744073709551615u]", `{"id":18446744073709551615}`, "true"},
		{"body.id > 1e18", `{"id":18446744073709551616}`, "true"},
		{"body.total > 100", `not json`, "error"},
		{"body == null", `not json`, "true"},
		{"body == null", `1 2`, "true"},
		{"body.total > 100", `{}`, "error"},
		{"has(body.total) && body.total > 100", `{}`, "false"},
		{"body.?total.orValue(0) > 100", `{}`, "false"},
		{"body[?'total'].orValue(0) > 100", `{}`, "false"},
		{"headers[?'x'].orValue('') == ''", `{}`, "true"},
		{"type == 'application/json' && topic.startsWith('order.') && sender == 'shop' && key == 'k'", ``, "true"},
		{"body.items.exists(i, i.sku == 'a')", `{"items":[{"sku":"b"},{"sku":"a"}]}`, "true"},
		{"body.items.size() > 1", `{"items":[1,2]}`, "true"},
		{"size(body.items) > 1", `{"items":[1,2]}`, "true"},
		{"body.name.matches('^a.*z$')", `{"name":"abcz"}`, "true"},
		{"body.items[body.i] == 'b'", `{"items":["a","b"],"i":1}`, "true"},
		{"body.ok", `{"ok":true}`, "true"},
		{"body.ok", `{"ok":1}`, "error"},
		{"body.a.exists(x, body.b.exists(y, x == y))", `{"a":[1,2],"b":[2]}`, "true"},
		{"timestamp(body.at) < timestamp('2026-01-01T00:00:00Z')", `{"at":"2025-01-01T00:00:00Z"}`, "true"},
		{"body.ok", `{"ok":`, "error"},
	} {
		s := &medispatcher.Subject{Message: &medispatcher.Message{Topic: "order.created", Sender: "shop", Key: "k", Type: "application/json", Headers: map[string]string{"country": "DE"}, Body: []byte(tc.body)}}
		got, err := Of(tc.expr).Match(s)
		res := map[bool]string{true: "true", false: "false"}[got]
		if err != nil {
			res = "error"
		}
		if res != tc.want {
			t.Errorf("%s on %s: %s %v, want %s", tc.expr, tc.body, res, err, tc.want)
		}
	}
}

// TestCheck: what is wrong is said, with its place.
func TestCheck(t *testing.T) {
	loop := "body.a.exists(x, body.b.exists(y, body.c.exists(z, x == y + z)))"
	for expr, want := range map[string]string{
		"body.total >":                 "line 1, column 13: ends too early: body.total >→",
		"body.total > tot":             "line 1, column 14: undeclared reference to 'tot': body.total > →tot",
		"topic ==\n\t'a' && tot":       "line 2, column 9: undeclared reference to 'tot': 'a' && →tot",
		"topic > 1":                    "line 1, column 7: found no matching overload",
		"1 + 1":                        "gives a value of type int, not true or false",
		"topic":                        "gives a value of type string, not true or false",
		"topic.matches('(')":           "missing closing )",
		loop:                           "may take too long",
		strings.Repeat("(", 300) + "1": "expression recursion limit exceeded",
		strings.Repeat("a", 5000):      "is 5000 bytes long; the limit is 4096",
		"key == '\xff'":                "is not UTF-8",
		strings.Repeat("'a' == topic || ", 40) + "tot": "column 641: undeclared reference to 'tot': " + strings.TrimSpace(strings.Repeat("'a' == topic || ", 40)[580:]+"→tot"),
	} {
		if err := Check(expr); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v\nwant %s", expr, err, want)
		}
	}
}

// TestCostIsBounded: a filter that would take long fails.
func TestCostIsBounded(t *testing.T) {
	big := []byte(`{"s":"` + strings.Repeat("a", 1<<20) + `","l":[` + strings.Repeat("1,", 100_000) + `1]}`)
	for expr, want := range map[string]bool{
		"body.s.contains('b')":                       true,
		"body.l.size() == 100001":                    true,
		"body.l.exists(x, x == 2)":                   false,
		"body.l.exists(x, body.l.exists(y, y == 2))": false,
		"body.s + body.s + body.s + body.s == ''":    false,
	} {
		_, err := Of(expr).Match(&medispatcher.Subject{Message: &medispatcher.Message{Body: big}})
		if got := err == nil; got != want {
			t.Errorf("%s: %v", expr, err)
		}
	}
}

// TestCostOfWhatPublishersMakeLarge: texts, lists and patterns of a message cost what they take, before a pattern begins, and in
// whatever they are compared. CEL takes some of it for free: each of these would hold up the fan-out for a second or more.
func TestCostOfWhatPublishersMakeLarge(t *testing.T) {
	body := []byte(`{"s":"` + strings.Repeat("foo ba ", 15_000) + `","l":[` + strings.Repeat("1,", 1500) + `1],"large":"` + strings.Repeat("a{1000}", 3000) + `","small":"^a{2,3}$"}`)
	for expr, want := range map[string]bool{
		"body.s.matches('foo.{0,900}bar')":                    false,
		"matches(body.s, 'foo.{0,900}bar')":                   false,
		"'aaa'.matches(body.large)":                           false,
		"body.l.all(x, body.s.matches('o.{20}x') || true)":    false,
		"body.l.all(x, !(1.5 in body.l))":                     false,
		"body.l.all(x, [body.l] == [body.l])":                 false,
		"body.l.all(x, body.l != [1])":                        true,
		"body.l.all(x, {'a': body.l} == {'a': body.l})":       false,
		"body.l.all(x, body.l in [[1], body.l])":              false,
		"body.l.all(x, body == body)":                         false,
		"body.l.all(x, body.s.size() > 1)":                    false,
		"body.l.all(x, body.s >= body.s)":                     false,
		"body.s.matches('order-[0-9]+-(eu|us)') || true":      true,
		"body.s.matches('foo.{0,90}bar') || true":             true,
		"matches(body.s, 'ba$')":                              true,
		"'aaa'.matches(body.small)":                           true,
		"1.5 in body.l || body.l == body.l || body == body":   true,
		"['a', 'b'].exists(x, x == body.s) || 'x' in ['a']":   true,
		"body.l.all(x, x == 1.0) && body.l.exists(x, x == 1)": true,
	} {
		_, err := Of(expr).Match(&medispatcher.Subject{Message: &medispatcher.Message{Body: body}})
		if got := err == nil; got != want {
			t.Errorf("%s: %v", expr, err)
		}
	}
	for expr, want := range map[string]bool{"'aaa'.matches(body.small)": true, "'aaaa'.matches(body.small)": false, "'aaa'.matches('^a{2,3}$')": true, "matches('aaaa', '^a{2,3}$')": false} {
		if got, err := Of(expr).Match(&medispatcher.Subject{Message: &medispatcher.Message{Body: body}}); got != want || err != nil {
			t.Errorf("%s: %v %v", expr, got, err)
		}
	}
}

// TestErrorsHoldNoValues: an error stands in the log, where nothing of a message belongs.
func TestErrorsHoldNoValues(t *testing.T) {
	for expr, want := range map[string]string{
		"timestamp(body.v) > timestamp('2020-01-01T00:00:00Z')":      "invalid RFC 3339 timestamp",
		"timestamp('2020-01-01T00:00:00Z').getHours(body.v) == 1":    "unknown time zone",
		"timestamp('2020-01-01T00:00:00Z').getHours(body.zone) == 1": "timezone offset hours out of range [-23, 23]",
		"headers[body.v] == ''":                                      "no such key",
		"headers[body.q] == ''":                                      "no such key",
		"'a'.matches(body.v)":                                        "error parsing regexp",
		"int(body.v) == 1":                                           "type conversion error from 'string' to 'int'",
		"body.nope > 1":                                              "no such key: nope",
		"timestamp('x' + '') < timestamp(body.v)":                    "invalid RFC 3339 timestamp \"x\"",
		"body.l.all(x, body.l.all(y, x == y))":                       "takes too much work",
	} {
		_, err := Of(expr).Match(&medispatcher.Subject{Message: &medispatcher.Message{Body: []byte(`{"v":"4111(1111","zone":"+41:11","q":"41\"11: 1","l":[` + strings.Repeat("1,", 1000) + `1]}`)}})
		if err == nil || err.Error() != want || strings.Contains(err.Error(), "41") {
			t.Errorf("%s: %v, want %s", expr, err, want)
		}
	}
}

// TestEqualFiltersAreOne: they are compiled once, and the same for whoever compares them. Nobody keeps what nobody uses.
func TestEqualFiltersAreOne(t *testing.T) {
	one, two := Of("key == 'TestEqualFiltersAreOne'"), Of("key == 'TestEqualFiltersAreOne'")
	if one != two || one == Of("key == 'other'") {
		t.Error("equal filters differ, or different ones are equal")
	}
	runtime.KeepAlive(one)
	left := func() bool {
		known.mu.Lock()
		defer known.mu.Unlock()
		_, there := known.held["key == 'TestEqualFiltersAreOne'"]
		return there
	}
	for left() {
		runtime.GC()
		runtime.Gosched()
	}
}

// TestVerdicts: each different filter is asked once for a message, and the body is decoded once.
func TestVerdicts(t *testing.T) {
	large, small := &counted{Filter: Of("body.total > 100")}, &counted{Filter: Of("body.total <= 100")}
	want := medispatcher.Wanted{IDs: []string{"a", "b", "c", "d", "e"}, Filters: []medispatcher.Filter{large, nil, small, large, small}}
	m := &medispatcher.Message{Body: []byte(`{"total":150}`)}
	ids, verdicts := want.Verdicts(m, func(id string, err error) { t.Error(id, err) })
	if !slices.Equal(ids, []string{"a", "b", "d"}) || !slices.Equal(verdicts, []medispatcher.Verdict{0, 0, 1, 0, 1}) {
		t.Errorf("%v %v", ids, verdicts)
	}
	if large.asked != 1 || small.asked != 1 || large.on != small.on {
		t.Errorf("asked %d and %d times", large.asked, small.asked)
	}
}

type counted struct {
	medispatcher.Filter
	asked int
	on    any
}

func (c *counted) Match(s *medispatcher.Subject) (bool, error) {
	match, err := c.Filter.Match(s)
	c.asked, c.on = c.asked+1, s.Cached
	return match, err
}

// BenchmarkVerdicts is one message for 10,000 subscriptions with filters.
func BenchmarkVerdicts(b *testing.B) {
	m := &medispatcher.Message{Topic: "order.created", Headers: map[string]string{"country": "DE"}, Body: []byte(`{"total":150,"items":[{"sku":"a"},{"sku":"b"}],"customer":{"id":42,"name":"x"}}`)}
	for _, different := range []int{0, 1, 100, 10_000} {
		b.Run(fmt.Sprint(different, " different"), func(b *testing.B) {
			var want medispatcher.Wanted
			for i := range 10_000 {
				want.IDs = append(want.IDs, fmt.Sprint("s", i))
				if different > 0 {
					want.Filters = append(want.Filters, Of(fmt.Sprintf("body.total > 100 && body.customer.id == %d", i%different)))
				}
			}
			want.Verdicts(m, nil) // compiles
			b.ReportAllocs()
			for b.Loop() {
				want.Verdicts(m, nil)
			}
		})
	}
}

func BenchmarkMatch(b *testing.B) {
	m := &medispatcher.Message{Topic: "order.created", Headers: map[string]string{"country": "DE"}, Body: []byte(`{"total":150,"items":[{"sku":"a"},{"sku":"b"}],"customer":{"id":42,"name":"x"}}`)}
	for _, e := range []string{"topic == 'a'", "body.total > 100 && headers['country'] in ['DE','FR']", "body.items.exists(i, i.sku == 'c')"} {
		f := Of(e)
		b.Run(e, func(b *testing.B) {
			b.ReportAllocs()
			s := &medispatcher.Subject{Message: m}
			for b.Loop() {
				_, _ = f.Match(s)
			}
		})
	}
	b.Run("decode", func(b *testing.B) {
		for b.Loop() {
			decode(m.Body)
		}
	})
	b.Run("compile", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			_, _, _ = compile("body.total > 100 && headers['country'] in ['DE','FR']")
		}
	})
}
