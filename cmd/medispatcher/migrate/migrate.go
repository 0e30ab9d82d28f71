// Package migrate reads the configuration and the tables of medispatcher 2 (beanstalkd, MySQL and Redis), and
// makes of them the variables and the subscriptions of this version. What it cannot carry over it says, with
// the file and the line. It imports the domain, the configuration, and a parser of TOML.
package migrate

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/solate/medispatcher"
)

// Note is something that was not carried over as it was.
type Note struct {
	File string `json:"file"`
	Line int    `json:"line"` // from 1; 0: of the whole file
	Text string `json:"text"`
	// Lost: a subscription in use was left out.
	Lost bool `json:"lost"`
}

func (n Note) String() string {
	if n.Line == 0 {
		return n.File + ": " + n.Text
	}
	return fmt.Sprintf("%s:%d: %s", n.File, n.Line, n.Text)
}

// Variable is a line of the environment file.
type Variable struct{ Name, Value, Comment string }

// Subscription is one as sub put --file reads it.
type Subscription struct {
	ID       string
	Document []byte // JSON
}

// Result is what became of it all.
type Result struct {
	Variables     []Variable
	Subscriptions []Subscription // by id
	Notes         []Note         // by file and line

	settings *settings // nil: there are none
}

// Settings carries over a medispatcher.toml. file is its name in notes.
func (r *Result) Settings(file string, text []byte) error {
	s, err := readSettings(file, text)
	if err != nil {
		return err
	}
	r.settings = s
	r.variables(s)
	r.sort()
	return nil
}

// Tables carries over the tables subscriptions, message_classes and subscription_params, each in a file of
// its name in dir. It comes after Settings, whose maxima held the old subscriptions.
func (r *Result) Tables(dir string, rules *medispatcher.Rules) error {
	err := r.tables(dir, r.settings, rules)
	r.sort()
	return err
}

func (r *Result) note(file string, line int, format string, args ...any) {
	r.Notes = append(r.Notes, Note{File: file, Line: line, Text: fmt.Sprintf(format, args...)})
}

func (r *Result) lost(file string, line int, format string, args ...any) {
	r.note(file, line, format, args...)
	r.Notes[len(r.Notes)-1].Lost = true
}

// Lost counts the subscriptions in use that were left out.
func (r *Result) Lost() (n int) {
	for _, note := range r.Notes {
		if note.Lost {
			n++
		}
	}
	return n
}

func (r *Result) sort() {
	slices.SortStableFunc(r.Notes, func(a, b Note) int { return cmp.Or(cmp.Compare(a.File, b.File), a.Line-b.Line) })
}
