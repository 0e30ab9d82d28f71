package medispatcher

import (
	"fmt"
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
		"https://u:a:b@c@h:8443/x?y=1:2@3":       "https://u:********@h:8443/x?y=********",
		"http://u:%2F@[::1]:80/?u=http://v:w@i/": "http://u:********@[::1]:80/?u=********",
		"[T_ENV:PUB]http://user:pw@h/":           "[T_ENV:PUB]http://user:********@h/",
		"[T_ENV:a@b]http://h?x":                  "[T_ENV:a@b]http://h?x",
		"":                                       "",
		"http://h/?token=abc&empty=&bare&x=a=b":  "http://h/?token=********&empty=&bare&x=********",
		"u:p@h":                                  "u:p@h", // no URL
	} {
		if got := maskURL(in); got != want || maskURL(got) != want || isMaskedURL(got) != (got != in) {
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

// quoted fills a format with strings.
func quoted(format string, list []string) string {
	args := make([]any, len(list))
	for i, s := range list {
		args[i] = s
	}
	return fmt.Sprintf(format, args...)
}
