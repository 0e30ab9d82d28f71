package medispatcher

import (
	"strings"
	"testing"
)

func TestCheckTopic(t *testing.T) {
	for _, tc := range []struct {
		name, s        string
		topic, pattern string // part of the error; empty: it is good
	}{
		{"one level", "order", "", ""},
		{"levels", "order.created.eu-1_b", "", ""},
		{"upper case", "Order.CREATED", "", ""},
		{"digits, dashes", "0.-._", "", ""},
		{"255 bytes", strings.Repeat("a", 255), "", ""},
		{"256 bytes", strings.Repeat("a", 256), "256 bytes long; the limit is 255", "256 bytes long; the limit is 255"},
		{"empty", "", "missing", "missing"},
		{"only a dot", ".", "empty level", "empty level"},
		{"first level empty", ".order", "empty level", "empty level"},
		{"last level empty", "order.", "empty level", "empty level"},
		{"two dots", "order..created", "empty level", "empty level"},
		{"star first", "*.created", `level "*" may hold only`, ""},
		{"star in the middle", "order.*.eu", `level "*" may hold only`, ""},
		{"star last", "order.*", `level "*" may hold only`, ""},
		{"star alone", "*", `level "*" may hold only`, ""},
		{"stars", "*.*", `level "*" may hold only`, ""},
		{"rest last", "order.>", `level ">" may hold only`, ""},
		{"rest alone", ">", `level ">" may hold only`, ""},
		{"star and rest", "*.>", `level "*" may hold only`, ""},
		{"rest first", ">.created", `level ">" may hold only`, "only be the last level"},
		{"two rests", "order.>.>", `level ">" may hold only`, "only be the last level"},
		{"part of a level", "ord*", `level "ord*" may hold only`, `level "ord*" may hold only`},
		{"two stars in a level", "a.**", `level "**" may hold only`, `level "**" may hold only`},
		{"rest in a level", "a.b>", `level "b>" may hold only`, `level "b>" may hold only`},
		{"space", "a b", "may hold only", "may hold only"},
		{"slash", "a/b", "may hold only", "may hold only"},
		{"not ASCII", "bestellung.geändert", "may hold only", "may hold only"},
		{"line break", "a\nb", `"a\nb"`, `"a\nb"`},
		{"not UTF-8", "a.\xff", `\xff`, `\xff`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			wantError(t, CheckTopic(tc.s), tc.topic)
			wantError(t, CheckPattern(tc.s), tc.pattern)
		})
	}
}

// wantError checks that err holds a text, or is nil when that is empty.
func wantError(t *testing.T, err error, text string) {
	t.Helper()
	switch {
	case text == "" && err != nil:
		t.Errorf("error %q, want none", err)
	case text != "" && err == nil:
		t.Errorf("no error, want one with %q", text)
	case text != "" && !strings.Contains(err.Error(), text):
		t.Errorf("error %q, want %q in it", err, text)
	case err != nil && strings.ContainsAny(err.Error(), "\r\n"):
		t.Errorf("error %q is not one line", err)
	}
}

func TestMatchTopic(t *testing.T) {
	for _, tc := range []struct {
		pattern  string
		yes, not []string
	}{
		{"order.created", []string{"order.created"}, []string{"order", "order.create", "order.createdx", "order.created.eu", "Order.created"}},
		{"order.*", []string{"order.created", "order.x"}, []string{"order", "order.created.eu", "orders.created", "ORDER.created"}},
		{"*", []string{"order", "x"}, []string{"order.created"}},
		{"*.created", []string{"order.created", "user.created"}, []string{"created", "a.b.created", "order.createdx"}},
		{"a.*.c", []string{"a.b.c", "a.c.c"}, []string{"a.c", "a.b.b.c", "a.b.d", "b.b.c"}},
		{"*.*", []string{"a.b"}, []string{"a", "a.b.c"}},
		{">", []string{"a", "a.b", "a.b.c.d"}, nil},
		{"order.>", []string{"order.created", "order.created.eu"}, []string{"order", "orders.created", "orderx"}},
		{"*.>", []string{"a.b", "a.b.c"}, []string{"a"}},
		{"a.*.>", []string{"a.b.c", "a.b.c.d"}, []string{"a.b", "a", "b.b.c"}},
	} {
		for _, topic := range tc.yes {
			if !matchTopic(tc.pattern, topic) {
				t.Errorf("%q does not match %q", tc.pattern, topic)
			}
		}
		for _, topic := range tc.not {
			if matchTopic(tc.pattern, topic) {
				t.Errorf("%q matches %q", tc.pattern, topic)
			}
		}
	}
}

// matchLevels is what matchTopic says, written as the rule reads.
func matchLevels(pattern, topic []string) bool {
	if len(pattern) == 0 || len(topic) == 0 {
		return len(pattern) == 0 && len(topic) == 0
	}
	if pattern[0] == ">" {
		return true
	}
	return (pattern[0] == "*" || pattern[0] == topic[0]) && matchLevels(pattern[1:], topic[1:])
}

func FuzzMatchTopic(f *testing.F) {
	for _, seed := range [][2]string{
		{"order.*", "order.created"}, {"order.>", "order.created.eu"}, {">", "a"}, {"*", "a.b"},
		{"a.*.c", "a.b.c"}, {"*.>", "a"}, {"a.b", "a.b"}, {"a", "a."}, {"*.*.*", "a.b.c"},
	} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, pattern, topic string) {
		if CheckTopic(pattern) == nil {
			if CheckPattern(pattern) != nil {
				t.Errorf("%q is a topic and not a pattern", pattern)
			}
			if !matchTopic(pattern, pattern) {
				t.Errorf("topic %q does not match itself", pattern)
			}
		}
		if CheckPattern(pattern) != nil || CheckTopic(topic) != nil {
			return
		}
		got, want := matchTopic(pattern, topic), matchLevels(strings.Split(pattern, "."), strings.Split(topic, "."))
		if got != want {
			t.Errorf("matchTopic(%q, %q) = %t", pattern, topic, got)
		}
	})
}
