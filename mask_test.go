package medispatcher

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
)

func TestMaskURL(t *testing.T) {
	for in, want := range map[string]string{
		"http://h/":                              "http://h/",
		"http://user@h:80/a:b@c":                 "http://user@h:80/a:b@c",
		"http://user:@h/":                        "http://user:@h/",
		"http://user:pw@h/":                      "http://user:********@h/",
		"http://:pw@h":                           "http://:********@h",
		"https://u:a:b@c@h:8443/x?y=1:2@3":       "https://u:********@h:8443/x?y=1:2@3",
		"http://u:%2F@[::1]:80/?u=http://v:w@i/": "http://u:********@[::1]:80/?u=http://v:w@i/",
		"[T_ENV:PUB]http://user:pw@h/":           "[T_ENV:PUB]http://user:********@h/",
		"[T_ENV:a@b]http://h?x":                  "[T_ENV:a@b]http://h?x",
		"":                                       "",
		"u:p@h":                                  "u:p@h", // no URL
	} {
		if got := MaskURL(in); got != want || MaskURL(got) != want || isMaskedURL(got) != (got != in) {
			t.Errorf("%s: %s, want %s", in, got, want)
		}
	}
}

func TestMaskAlertURL(t *testing.T) {
	for in, want := range map[string]string{
		"slack://hook:xoxb-TOKEN@webhook":      "slack://********-",
		"telegram://TOKEN@telegram?chats=@x":   "telegram://********-",
		"pushbullet://TOKEN":                   "pushbullet://********-",
		"generic+https://h/TOKEN?key=TOKEN":    "generic+https://********-",
		"smtp://user:TOKEN@mail:587/?to=a@b":   "smtp://mail:587/********-",
		"https://hooks.example/services/TOKEN": "https://hooks.example/********-",
		"http://TOKEN@h?TOKEN":                 "http://h/********-",
		"TOKEN":                                "********-",
		// Passwords that should have been escaped.
		"smtp://user:12/TOKEN@mail/?to=a@b":    "smtp://********-",
		"smtp://user:12?TOKEN@mail/?to=a@b":    "smtp://********-",
		"smtp://user:TO@KEN/TOKEN@mail/?to=a@": "smtp://********-",
		"smtp://user:TOKEN":                    "smtp://********-",
		"smtp://[::1]:25/?to=a@b":              "smtp://[::1]:25/********-",
	} {
		got := MaskAlertURL(in)
		if !strings.HasPrefix(got, want) || len(got) != len(want)+4 || strings.Contains(got, "TOKEN") {
			t.Errorf("%s: %s, want %s and four digits", in, got, want)
		}
		if MaskAlertURL(got) != got || !isMaskedAlertURL(got) || isMaskedAlertURL(in) {
			t.Errorf("%s: %s is not told apart", in, got)
		}
	}
	if a, b := MaskAlertURL("slack://a"), MaskAlertURL("slack://b"); a == b {
		t.Errorf("two look the same: %s", a)
	}
}

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

// TestMaskedHeaders: what a header's name says is a credential is not shown, and kept when its mask is written back.
func TestMaskedHeaders(t *testing.T) {
	old, s := mustReplace(t, testRules(), nil, `{"topic":"t","urls":["http://h/"],"headers":{"Authorization":"Bearer TOKEN","X-Api-Key":"KEY","X-Team":"red","Cookie":""}}`)
	if got := fmt.Sprint(s.Masked().Headers); got != "map[Authorization:******** Cookie: X-Api-Key:******** X-Team:red]" || s.Headers["X-Api-Key"] != "KEY" {
		t.Fatalf("shown as %s, %v", got, s.Headers)
	}
	for patch, want := range map[string]string{
		`{"headers":{"Authorization":"********","X-Team":"blue"}}`:      "map[Authorization:Bearer TOKEN Cookie: X-Api-Key:KEY X-Team:blue]",
		`{"headers":{"X-Api-Key":null}}`:                                "map[Authorization:Bearer TOKEN Cookie: X-Team:red]",
		`{"headers":{"Authorization":null,"authorization":"********"}}`: "map[Cookie: X-Api-Key:KEY X-Team:red authorization:Bearer TOKEN]",
		`{"headers":{"X-Other-Key":"********"}}`:                        `headers: "X-Other-Key" is masked`,
		`{"headers":{"X-Api-Key":"NEW","Authorization":"********"}}`:    "map[Authorization:Bearer TOKEN Cookie: X-Api-Key:NEW X-Team:red]",
		`{"paused":true}`: "map[Authorization:Bearer TOKEN Cookie: X-Api-Key:KEY X-Team:red]",
	} {
		next, sub, err := testRules().Merge("billing", old, []byte(patch), ruleTime)
		got := fmt.Sprint(sub.Headers)
		if err != nil {
			got = err.Error()
		}
		if !strings.HasPrefix(got, want) || strings.Contains(string(next), Mask) {
			t.Errorf("%s: %s, want %s\nstored %s", patch, got, want, next)
		}
	}
	if _, _, err := testRules().Replace("billing", nil, []byte(`{"topic":"t","urls":["http://h/"],"headers":{"Authorization":"********"}}`), ruleTime); err == nil {
		t.Error("a mask was taken for a credential")
	}
}

// quoted fills a format with strings.
func quoted(format string, list []string) string {
	args := make([]any, len(list))
	for i, s := range list {
		args[i] = s
	}
	return fmt.Sprintf(format, args...)
}
