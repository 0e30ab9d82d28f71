package alert

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/template"
	"time"

	"github.com/solate/medispatcher"
)

// maxLine bounds the first line of a text, which becomes the subject of a mail, in bytes.
const maxLine = 400

// Texts makes the texts of notices from templates.
type Texts struct {
	own     *template.Template // the operator's over the built-in ones
	builtIn *template.Template
}

// data is what a template sees: all fields of the notice, and these.
type data struct {
	medispatcher.Notice
	Reminder, Recovered bool
}

var funcs = template.FuncMap{
	"span":  func(d medispatcher.Duration) string { return span(time.Duration(d)) },
	"until": func(t, now time.Time) string { return span(t.Sub(now)) },
	"bytes": bytes,
	"plain": plain,
}

// shared are the built-in templates that belong to no rule: "footer" ends every text, "drain" stands in some.
const shared = `
{{define "footer"}}Since:       {{.Since.UTC.Format "2006-01-02 15:04:05"}} UTC{{if .Reminder}}, and it still fires{{end}}
Found by:    {{plain .Host}}{{if .Env}}, environment {{.Env}}{{end}}
{{if and .Subscription (not .OwnReceivers)}}{{.Subscription}} has no receivers of its own (alert.urls), so this went to the default ones.
{{end}}{{end}}
{{define "drain"}}{{if .Drain}}they take {{span .Drain}} at the present rate{{else}}at the present rate they never drain{{end}}{{end}}`

// parseBuiltIn makes the templates of all rules: RULE, RULE.recovered and RULE.more.
func parseBuiltIn() *template.Template {
	t := template.Must(template.New("shared").Funcs(funcs).Parse(shared))
	for _, r := range Rules {
		template.Must(t.New(r.Name).Parse(r.Title))
		template.Must(t.New(r.Name + ".recovered").Parse(r.Recovered))
		template.Must(t.New(r.Name + ".more").Parse(r.More))
	}
	return t
}

// LoadTexts reads templates that replace built-in ones of the same name: from a file, or from every file
// *.tmpl of a directory; "" replaces none. Its errors name file and line.
func LoadTexts(path string) (*Texts, error) {
	t := &Texts{builtIn: parseBuiltIn(), own: parseBuiltIn()}
	if path == "" {
		return t, nil
	}
	files := []string{path}
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("cannot read %s: %w", path, pathCause(err))
	}
	if info.IsDir() {
		if files, err = filepath.Glob(filepath.Join(path, "*.tmpl")); err != nil || len(files) == 0 {
			return nil, fmt.Errorf("%s holds no file *.tmpl", path)
		}
	}
	var errs []error
	for _, file := range files {
		if err := t.replace(file); err != nil {
			errs = append(errs, err)
		}
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	return t, t.try()
}

func pathCause(err error) error {
	if path, ok := errors.AsType[*os.PathError](err); ok {
		return path.Err
	}
	return err
}

// replace puts the definitions of a file over those there are.
func (t *Texts) replace(file string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("cannot read %s: %w", file, pathCause(err))
	}
	parsed, err := template.New(file).Funcs(funcs).Parse(string(text))
	if err != nil {
		return errors.New(strings.TrimPrefix(err.Error(), "template: "))
	}
	var errs []error
	for _, d := range parsed.Templates() {
		switch name := d.Name(); {
		case name == file: // what stands outside of every definition
		case t.builtIn.Lookup(name) == nil && !strings.HasPrefix(name, "_"):
			errs = append(errs, fmt.Errorf("%s: defines %q, which is used nowhere: name it after a rule, %s or %s, or _%s if other templates use it",
				file, name, strings.Join(names(), ", "), "footer", name))
		default:
			if _, err := t.own.AddParseTree(name, d.Tree); err != nil {
				errs = append(errs, fmt.Errorf("%s: %w", file, err))
			}
		}
	}
	return errors.Join(errs...)
}

// try runs every template once: a field that does not exist is better found now than in the night.
func (t *Texts) try() error {
	var errs []error
	for _, rule := range names() {
		for _, kind := range []string{medispatcher.NoticeAlert, medispatcher.NoticeRecovered} {
			n := medispatcher.Notice{Kind: kind, Alert: medispatcher.Alert{Rule: rule, Subscription: "s"}}
			for _, part := range parts(&n) {
				if _, err := run(t.own, part, &n); err != nil {
					errs = append(errs, errors.New(strings.TrimPrefix(err.Error(), "template: ")))
				}
			}
		}
	}
	return errors.Join(slices.CompactFunc(errs, func(a, b error) bool { return a.Error() == b.Error() })...)
}

// parts are the templates of a notice: of its first line, and those below.
func parts(n *medispatcher.Notice) []string {
	if n.Kind == medispatcher.NoticeRecovered {
		return []string{n.Rule + ".recovered", "footer"}
	}
	return []string{n.Rule, n.Rule + ".more", "footer"}
}

func run(t *template.Template, name string, n *medispatcher.Notice) (string, error) {
	var b strings.Builder
	err := t.ExecuteTemplate(&b, name, data{*n, n.Kind == medispatcher.NoticeReminder, n.Kind == medispatcher.NoticeRecovered})
	return b.String(), err
}

// part is one template's text. If the operator's fails on these data, it is the built-in one's.
func (t *Texts) part(name string, n *medispatcher.Notice) string {
	text, err := run(t.own, name, n)
	if err != nil {
		text, err = run(t.builtIn, name, n)
	}
	if err != nil {
		return ""
	}
	return text
}

// Line is the first line of a text: [ALERT] or [RECOVERED], the rule, the subscription, and what it found.
func (t *Texts) Line(n *medispatcher.Notice) string {
	if n.At.IsZero() {
		at := *n
		at.At = time.Now()
		n = &at
	}
	word := "[ALERT] "
	if n.Kind == medispatcher.NoticeRecovered {
		word = "[RECOVERED] "
	}
	subject := n.Rule
	if n.Subscription != "" {
		subject += " " + n.Subscription
	}
	return cut(word+subject+": "+strings.TrimSpace(plain(t.part(parts(n)[0], n))), maxLine)
}

// Text is the whole text of a notice.
func (t *Texts) Text(n *medispatcher.Notice) string {
	var b strings.Builder
	b.WriteString(t.Line(n) + "\n\n")
	for _, part := range parts(n)[1:] {
		b.WriteString(t.part(part, n))
	}
	return strings.TrimRight(b.String(), "\n") + "\n"
}
