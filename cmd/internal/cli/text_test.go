package cli

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
)

func TestClean(t *testing.T) {
	for in, want := range map[string]string{
		"plain ü 日": "plain ü 日", "\x1b[31m": `\x1b[31m`, "a\nb": `a\x0ab`, "\u009b": `\u009b`, "\u202e": `\u202e`, "\xff": `\xff`, "\U000e0001": `\ue0001`,
	} {
		if got := Clean(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
	var b strings.Builder
	if err := WriteJSON(&b, "\x1b\u009b\u202e\U000e0001>&ü", ""); err != nil {
		t.Fatal(err)
	}
	if want := `"\u001b\u009b\u202e\udb40\udc01>&ü"` + "\n"; b.String() != want {
		t.Errorf("%s, want %s", b.String(), want)
	}
	var back string
	if err := json.Unmarshal([]byte(b.String()), &back); err != nil || back != "\x1b\u009b\u202e\U000e0001>&ü" {
		t.Errorf("%q, %v", back, err)
	}
}

func TestAge(t *testing.T) {
	for in, want := range map[time.Duration]string{
		0: "-", 159 * time.Millisecond: "159ms", 2340 * time.Millisecond: "2.3s", 125 * time.Second: "2m5s", 3*time.Hour + 7*time.Minute: "3h7m", 80 * time.Hour: "3d",
	} {
		if got := Age(in); got != want {
			t.Errorf("%s: %s, want %s", in, got, want)
		}
	}
}

func TestLogFormats(t *testing.T) {
	for format, want := range map[string]string{"auto": `{"time":`, "json": `"msg":"hi"`, "text": "msg=hi", "tint": "WRN hi"} {
		var b strings.Builder
		log := NewLogger(&b, format, "warn", nil)
		log.Info("quiet")
		log.Warn("hi", "id", "a\x1bb")
		if !strings.Contains(b.String(), want) || strings.ContainsAny(b.String(), "\x1b") || strings.Contains(b.String(), "quiet") {
			t.Errorf("%s: %q", format, b.String())
		}
	}
}
