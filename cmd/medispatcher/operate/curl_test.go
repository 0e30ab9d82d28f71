package operate

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/solate/medispatcher"
)

// argumentsOf runs a command in bash, with a curl that writes down its arguments.
func argumentsOf(t *testing.T, command string) []string {
	t.Helper()
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Skip("bash is not installed")
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "curl"), []byte("#!/bin/sh\nprintf '%s\\0' \"$@\"\n"), 0o700); err != nil { //nolint:gosec // a program
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), bash, "--norc", "-c", command)
	cmd.Env = []string{"PATH=" + dir + ":/usr/bin:/bin", "LANG=C.UTF-8"}
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %s", err, command)
	}
	return strings.Split(strings.TrimSuffix(string(out), "\x00"), "\x00")
}

// TestCurl: whatever is in a request, the shell makes the same of it, and a terminal shows it as it is.
func TestCurl(t *testing.T) {
	const evil = "it's $HOME `id` \"x\" \\ !! $(id) \u202eevil\x1b[31m é;&|\n"
	for name, body := range map[string]string{
		"JSON": `{"order":42}`, "empty": "", "a file to curl": "@/etc/passwd", "quotes": "it's $HOME `id` \"x\" \\ !! $(id) é\n\ttwo\n",
		"binary": "\x00\xff", "escape": "\x1b[31m", "direction": "\u202e", "carriage return": "a\r\n", "long": strings.Repeat("x", maxInline+1),
	} {
		r := &medispatcher.Request{
			URL: "http://h/a'b/../[1]?x={y}&z=$HOME", Body: []byte(body),
			Headers: []medispatcher.HeaderField{{Name: "X-Evil", Value: strings.TrimSpace(evil)}, {Name: "X-Empty"}, {Name: "X-Bytes", Value: "\xff\\'"}},
		}
		command, inline := Curl(r, "body-x")
		wantInline := !slices.Contains([]string{"binary", "escape", "direction", "carriage return", "long"}, name)
		if inline != wantInline || !showable(command) {
			t.Errorf("%s: inline %v, to be shown %v: %q", name, inline, showable(command), command)
		}
		want := []string{
			"-i", "--globoff", "--path-as-is", r.URL, "-H", "X-Evil: " + strings.TrimSpace(evil), "-H", "X-Empty;", "-H", "X-Bytes: \xff\\'",
			"-H", "Accept:", "-H", "Expect:", "-H", "User-Agent:", "--data-raw", body,
		}
		if !wantInline {
			want = append(want[:len(want)-2], "--data-binary", "@body-x")
		}
		if got := argumentsOf(t, command); !slices.Equal(got, want) {
			t.Errorf("%s:\ngot  %q\nwant %q", name, got, want)
		}
	}
}

func FuzzCurl(f *testing.F) {
	f.Add("it's", []byte("$(id)\n'"))
	f.Fuzz(func(t *testing.T, value string, body []byte) {
		if strings.Contains(value, "\x00") || len(value)+len(body) > 1000 || value == "" {
			return
		}
		r := &medispatcher.Request{URL: "http://h/", Headers: []medispatcher.HeaderField{{Name: "X", Value: value}}, Body: body}
		command, inline := Curl(r, "f")
		got := argumentsOf(t, command)
		if got[3] != "X: "+value || inline && !bytes.Equal([]byte(got[len(got)-1]), body) {
			t.Errorf("%q", got)
		}
	})
}

func TestBodyFile(t *testing.T) {
	if got := BodyFile("../a b'é/$(id)" + strings.Repeat("x", 200)); !strings.HasPrefix(got, "body-.._a_b_") || strings.ContainsAny(got, "/'$( é") || len(got) > 110 {
		t.Error(got)
	}
}
