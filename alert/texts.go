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

// maxLine bounds the first line of a text, in bytes. It becomes the subject of a mail.
const maxLine = 400

// Texts makes the texts of notices from templates.
type Texts struct {
	own     *template.Template // the built-in ones, replaced by the operator's where there are any
	builtIn *template.Template
}

// data is what a template sees: the fields of the notice, and these two.
type data struct {
	medispatcher.Notice
	Reminder, Recovered bool
}

var funcs = template.FuncMap{
	"span":  func(d medispatcher.Duration) string { return medispatcher.RoughDuration(time.Duration(d)) },
	"until": func(t, now time.Time) string { return medispatcher.RoughDuration(t.Sub(now)) },
	"bytes": bytes,
	"plain": plain,
}

// shared holds the built-in templates that belong to no rule: "footer" ends every text, some use "drain".
const shared = `
{{define "footer"}}Since:       {{.Since.UTC.Format "2006-01-02 15:04:05"}} UTC{{if .Reminder}}, and it still fires{{end}}
Found by:    {{plain .Host}}{{if .Env}}, environment {{.Env}}{{end}}
{{if and .Subscription (not .OwnReceivers)}}{{.Subscription}} has no receivers of its own (alert.urls), so this went to the default ones.
{{end}}{{end}}
{{define "drain"}}{{if .Drain}}they take {{span .Drain}} at the present rate{{else}}at the present rate they never drain{{end}}{{end}}`

// parseBuiltIn makes the templates RULE, RULE.recovered and RULE.more of each rule.
func parseBuiltIn() *template.Template {
	t := template.Must(template.New("shared").Funcs(funcs).Parse(shared))
	for _, r := range Rules {
		template.Must(t.New(r.Name).Parse(r.Title))
		template.Must(t.New(r.Name + ".recovered").Parse(r.Recovered))
		template.Must(t.New(r.Name + ".more").Parse(r.More))
	}
	return t
}

// LoadTexts reads templates that replace the built-in ones of the same name. path is a file, or a directory
// of files *.tmpl; "" replaces none. Errors name the file and the line.
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

// replace replaces templates by the definitions in a file.
func (t *Texts) replace(file string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("cannot read %s: %w", file, pathCause(err))
	}
	parsed, err := template.New(file).Funcs(funcs).Parse(string(text))
	if err != nil {
		return err
	}
	var errs []error
	for _, d := range parsed.Templates() {
		switch name := d.Name(); {
		case name == file: // the text outside of all definitions
		case t.builtIn.Lookup(name) == nil && !strings.HasPrefix(name, "_"):
			errs = append(errs, fmt.Errorf("%s: defines %q, which nothing uses; name it after a rule (%s), or footer, or _%s if other templates use it",
				file, name, strings.Join(names(), ", "), name))
		default:
			if _, err := t.own.AddParseTree(name, d.Tree); err != nil {
				errs = append(errs, fmt.Errorf("%s: %w", file, err))
			}
		}
	}
	return errors.Join(errs...)
}

// try executes every template once, so that a field that does not exist stops the start, not an alert.
func (t *Texts) try() error {
	var errs []error
	for _, rule := range names() {
		for _, kind := range []string{medispatcher.NoticeAlert, medispatcher.NoticeRecovered} {
			n := medispatcher.Notice{Kind: kind, Alert: medispatcher.Alert{Rule: rule, Subscription: "s"}}
			for _, part := range parts(&n) {
				if _, err := run(t.own, part, &n); err != nil {
					errs = append(errs, err)
				}
			}
		}
	}
	return errors.Join(slices.CompactFunc(errs, func(a, b error) bool { return a.Error() == b.Error() })...)
}

// parts names the templates of a notice: the one of its first line, and those of the lines below.
func parts(n *medispatcher.Notice) []string {
	if n.Kind == medispatcher.NoticeRecovered {
		return []string{n.Rule + ".recovered", "footer"}
	}
	return []string{n.Rule, n.Rule + ".more", "footer"}
}

func run(t *template.Template, name string, n *medispatcher.Notice) (string, error) {
	var b strings.Builder
	shown := *n
	shown.LastError, shown.Message = quoted(n.LastError), quoted(n.Message) // whatever the template does with them
	err := t.ExecuteTemplate(&b, name, data{shown, n.Kind == medispatcher.NoticeReminder, n.Kind == medispatcher.NoticeRecovered})
	return b.String(), err
}

// part executes one template: the operator's or, if that fails on this notice, the built-in one.
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

// Line is the first line of a text, such as "[ALERT] backlog billing: 7012 messages are READY".
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
