package alert

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/solate/medispatcher"
)

func writeTemplates(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

var gone = medispatcher.Notice{
	Kind: medispatcher.NoticeAlert, At: time.Unix(1_700_000_100, 0), Since: time.Unix(1_700_000_000, 0),
	Alert: medispatcher.Alert{Rule: ruleGone, Subscription: "s", Host: "host-1"},
}

func TestBuiltInTexts(t *testing.T) {
	t.Parallel()
	own := texts(t)
	if err := own.try(); err != nil {
		t.Fatal(err)
	}
	want := `[ALERT] gone s: paused: its worker answered 410 Gone

Messages wait until you resume it: medispatcher sub resume s
Since:       2023-11-14 22:13:20 UTC
Found by:    host-1
s has no receivers of its own (alert.urls), so this went to the default ones.
`
	if got := own.Text(&gone); got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
	over := gone
	over.Kind, over.OwnReceivers, over.Env = medispatcher.NoticeRecovered, true, "PUB"
	want = "[RECOVERED] gone s: resumed\n\nSince:       2023-11-14 22:13:20 UTC\nFound by:    host-1, environment PUB\n"
	if got := own.Text(&over); got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
	for _, rule := range names() {
		n := gone
		n.Rule = rule
		if text := own.Text(&n); !strings.HasPrefix(text, "[ALERT] "+rule+" s: ") || strings.Contains(text, "<no value>") || strings.Contains(text, "\n\n\n") {
			t.Errorf("%s", text)
		}
	}
}

func TestTemplatesAreReplaced(t *testing.T) {
	t.Parallel()
	dir := writeTemplates(t, map[string]string{
		"de.tmpl":   `{{define "gone"}}angehalten{{template "_end"}}{{end}}{{define "_end"}}!{{end}}`,
		"foot.tmpl": `{{define "footer"}}Rechner {{.Host}}{{end}}`,
		"README":    `{{`,
	})
	own, err := LoadTexts(dir)
	if err != nil {
		t.Fatal(err)
	}
	if got := own.Text(&gone); got != "[ALERT] gone s: angehalten!\n\nMessages wait until you resume it: medispatcher sub resume s\nRechner host-1\n" {
		t.Error(got)
	}
	if own, err = LoadTexts(filepath.Join(dir, "foot.tmpl")); err != nil || !strings.HasSuffix(own.Text(&gone), "Rechner host-1\n") {
		t.Error(own, err)
	}
}

// TestWrongTemplates: an error names the file and the line of each wrong template.
func TestWrongTemplates(t *testing.T) {
	t.Parallel()
	dir := writeTemplates(t, map[string]string{
		"a.tmpl": "\n{{define \"gone\"}}{{.Host}",
		"b.tmpl": `{{define "gonne"}}x{{end}}`,
	})
	_, err := LoadTexts(dir)
	for _, want := range []string{"a.tmpl:2", `b.tmpl: defines "gonne", which nothing uses`} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
	dir = writeTemplates(t, map[string]string{"c.tmpl": "\n\n{{define \"gone\"}}{{.Hosst}}{{end}}"})
	if _, err := LoadTexts(dir); err == nil || !strings.Contains(err.Error(), "c.tmpl:3") || !strings.Contains(err.Error(), "Hosst") {
		t.Error(err)
	}
	for path, want := range map[string]string{"/no/such": "no such file", t.TempDir(): "holds no file *.tmpl"} {
		if _, err := LoadTexts(path); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", path, err)
		}
	}
}

// TestTemplateThatFailsLater: the built-in text replaces a template that fails on a notice.
func TestTemplateThatFailsLater(t *testing.T) {
	t.Parallel()
	own, err := LoadTexts(writeTemplates(t, map[string]string{
		"a.tmpl": `{{define "gone"}}{{if .Host}}{{index .Host 99}}{{end}}{{end}}`,
	}))
	if err != nil {
		t.Fatal(err)
	}
	if got := own.Line(&gone); got != "[ALERT] gone s: paused: its worker answered 410 Gone" {
		t.Error(got)
	}
}

// TestHostileText: what producers and workers wrote cannot add a line.
func TestHostileText(t *testing.T) {
	t.Parallel()
	n := gone
	n.Rule = medispatcher.RuleMessageFailures
	n.Message, n.LastError, n.Topic = "id\r\nBcc: all@example.com", "\x1b[31m\xff\u202e", strings.Repeat("x", 1000)
	text := texts(t).Text(&n)
	if strings.ContainsAny(text, "\r\x1b\u202e") || strings.Contains(text, "\nBcc") {
		t.Errorf("%q", text)
	}
	n.Message = strings.Repeat("ü", 1000)
	if line := texts(t).Line(&n); len(line) > maxLine+len("…") || strings.ContainsRune(line, '\uFFFD') {
		t.Errorf("%d bytes: %s", len(line), line)
	}
}

func TestBytes(t *testing.T) {
	t.Parallel()
	if bytes(1023) != "1023 B" || bytes(3<<30) != "3.0 GiB" {
		t.Error(bytes(1023), bytes(3<<30))
	}
}
