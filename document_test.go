package medispatcher

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// TestMaskedIsKept: what is shown can be written back, in any order, and means the same.
func TestMaskedIsKept(t *testing.T) {
	stored := []string{"http://u:one@h/", "[T_ENV:PUB]http://u:two@h/", "http://plain/", "http://u:three@twin/", "http://u:four@twin/"}
	alerts := []string{"slack://token@a", "https://h/token"}
	old, s := mustReplace(t, testRules(), nil, fmt.Sprintf(`{"topic":"t","urls":["%s"],"alert":{"urls":["%s"],"backlog":7}}`,
		strings.Join(stored, `","`), strings.Join(alerts, `","`)))
	shown := s.Masked()
	if !slices.Equal(s.URLs, stored) || strings.Contains(fmt.Sprint(shown), "token") || strings.Contains(fmt.Sprint(shown), "one") {
		t.Fatalf("masked %+v\nof %+v", shown, s)
	}
	a := shown.Alert.URLs
	for _, tc := range []struct{ name, patch, urls, alerts, fails string }{
		{name: "as it was", patch: quoted(`{"urls":[%q,%q,%q,%q,%q],"alert":{"urls":[%q,%q]}}`, append(slices.Clone(shown.URLs), a...)),
			urls: strings.Join(stored, " "), alerts: strings.Join(alerts, " ")},
		{name: "another order", patch: quoted(`{"urls":["http://new/",%q,%q],"alert":{"urls":[%q,"slack://new",%q]}}`, []string{shown.URLs[1], shown.URLs[0], a[1], a[0]}),
			urls: "http://new/ [T_ENV:PUB]http://u:two@h/ http://u:one@h/", alerts: "https://h/token slack://new slack://token@a"},
		{name: "the same twice", patch: quoted(`{"urls":[%q,%q]}`, []string{shown.URLs[0], shown.URLs[0]}),
			urls: "http://u:one@h/ http://u:one@h/", alerts: strings.Join(alerts, " ")},
		{name: "another password", patch: `{"urls":["http://u:new@h/"]}`, urls: "http://u:new@h/", alerts: strings.Join(alerts, " ")},
		{name: "other fields", patch: `{"paused":true}`, urls: strings.Join(stored, " "), alerts: strings.Join(alerts, " ")},
		{name: "unknown host", patch: `{"urls":["http://h/","http://u:********@i/"]}`, fails: "urls[1]: "},
		{name: "without its tag", patch: `{"urls":["[T_ENV:X]http://u:********@h/"]}`, fails: "urls[0]: "},
		{name: "one of two that look alike", patch: `{"urls":["http://u:********@twin/"]}`, fails: `urls[0]: "http://u:********@twin/" stands for 2 stored URLs`},
		{name: "unknown alert URL", patch: `{"alert":{"urls":["slack://********-0000"]}}`, fails: "alert.urls[0]: "},
	} {
		next, sub, err := testRules().Merge("billing", old, []byte(tc.patch), ruleTime)
		if tc.fails != "" {
			var p Problems
			if !errors.As(err, &p) || len(p) != 1 || !strings.HasPrefix(p.Error(), tc.fails) {
				t.Errorf("%s: error %v", tc.name, err)
			}
			continue
		}
		if err != nil || strings.Join(sub.URLs, " ") != tc.urls || strings.Join(sub.Alert.URLs, " ") != tc.alerts || sub.Alert.Backlog != 7 || strings.Contains(string(next), Mask) {
			t.Errorf("%s: %v, %v, %v\nstored %s", tc.name, sub.URLs, sub.Alert.URLs, err, next)
		}
	}
	// Nothing is stored under a new id that the mask could stand for.
	if _, _, err := testRules().Replace("billing", nil, []byte(`{"topic":"t","urls":["http://u:********@h/"]}`), ruleTime); err == nil {
		t.Error("a mask was taken for a password")
	}
}

// TestTextThatIsNone: encoding/json reads it as U+FFFD. It is refused instead, but not where it is stored already.
func TestTextThatIsNone(t *testing.T) {
	old, _ := mustReplace(t, testRules(), nil, leastAnd(`"paused":true`))
	for text, says := range map[string]string{
		"a\xffb":                  "body: is not UTF-8, at byte 22",
		`a\ud83d`:                 `body: has one half of a character alone, \ud83d, at byte 22`,
		`a\ud83d\u0041`:           `alone, \ud83d,`,
		`a\uDE00b`:                `alone, \uDE00,`,
		"a\uFFFD, \U0001f600":     "",
		`\\ud83d \uFFFD`:          "",
		`\ud83d\ude00 \"\u00e9\t`: "",
	} {
		_, _, err := testRules().Merge("billing", old, []byte(`{"headers":{"X-Who":"`+text+`"}}`), ruleTime)
		if refused := says != ""; (err != nil) != refused || refused && !strings.Contains(err.Error(), says) {
			t.Errorf("%q: %v, want %s", text, err, says)
		}
		if _, _, err := testRules().Replace("billing", nil, []byte(leastAnd(`"headers":{"X-Who":"`+text+`"}`)), ruleTime); (err != nil) != (says != "") {
			t.Errorf("put %q: %v", text, err)
		}
	}
	if _, _, err := testRules().Load("billing", []byte(leastAnd(`"headers":{"X-Who":"a`+"\xff"+`"}`))); err != nil {
		t.Errorf("stored before: %v", err)
	}
}

// TestMerge: RFC 7396 on the stored document.
func TestMerge(t *testing.T) {
	full := leastAnd(`"concurrency":32,"interval":"5ms","headers":{"X-A":"1","X-B":"2"},"drop":{"threshold":3,"action":"log"}`)
	for _, tc := range []struct {
		name, old, patch, want string // want: the stored document
	}{
		{"nothing", least, `{}`, least},
		{"replace and add", full, `{"concurrency":4,"paused":true}`, leastAnd(`"concurrency":4,"paused":true,"interval":"5ms","headers":{"X-A":"1","X-B":"2"},"drop":{"threshold":3,"action":"log"}`)},
		{"null removes", full, `{"concurrency":null,"headers":null,"drop":null}`, leastAnd(`"interval":"5ms"`)},
		{"null for what is not there", least, `{"concurrency":null}`, least},
		{"objects merge", full, `{"headers":{"X-B":null,"X-C":"3"},"drop":{"action":"drop"}}`, leastAnd(`"concurrency":32,"interval":"5ms","headers":{"X-A":"1","X-C":"3"},"drop":{"threshold":3,"action":"drop"}`)},
		{"object where there was none", least, `{"drop":{"action":"drop"}}`, leastAnd(`"drop":{"action":"drop"}`)},
		{"null inside an object where there was none", least, `{"headers":{"X-A":null,"X-B":"2"},"drop":{"action":null}}`, leastAnd(`"headers":{"X-B":"2"},"drop":{}`)},
		{"object over null", leastAnd(`"headers":null`), `{"headers":{"X-A":null}}`, leastAnd(`"headers":{}`)},
		{"lists are replaced", leastAnd(`"alert":{"urls":["a://b"],"backlog":1}`), `{"urls":["http://i/","http://j/"],"alert":{"urls":[]}}`, `{"topic":"order.*","urls":["http://i/","http://j/"],"alert":{"urls":[],"backlog":1}}`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			old, _ := mustReplace(t, testRules(), nil, tc.old)
			want, wantSub := mustReplace(t, testRules(), nil, tc.want)
			stored, s := mustMerge(t, testRules(), old, tc.patch)
			if !sameJSON(t, stored, want) || !reflect.DeepEqual(s, wantSub) {
				t.Errorf("stored %s\nwant   %s\nmeans %+v\nwant  %+v", stored, want, s, wantSub)
			}
		})
	}
}
