package operate

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"strconv"
	"strings"

	"github.com/solate/medispatcher"
)

const (
	// MaxPuts bounds the subscriptions that one request or file may put.
	MaxPuts = 10_000
	// MaxPutsBytes bounds their bytes.
	MaxPutsBytes = 16 << 20
	// problemsShown bounds an answer about wrong input.
	problemsShown = 100
)

// Putter creates and replaces many subscriptions.
type Putter interface {
	// PutAllOrNone writes nothing if it finds one that cannot be put. It reports whether it found none.
	PutAllOrNone(ctx context.Context, puts []medispatcher.SubscriptionPut) (done []medispatcher.SubscriptionPutDone, good bool)
}

// Puts are subscriptions to put, and the line where each begins.
type Puts struct {
	Puts  []medispatcher.SubscriptionPut
	lines []int
	wrong map[int]medispatcher.FieldError // what is no subscription, by its index; it has no id there, so none is written
}

// ReadPuts reads JSON objects, each a subscription with its id: one a line, or in an array. What is none is a problem of PutAll,
// beside those of the others. The error is Problems.
func ReadPuts(raw []byte) (p Puts, err error) {
	p.wrong = map[int]medispatcher.FieldError{}
	first := map[string]int{} // the line of an id
	for doc, err := range values(raw) {
		if len(p.Puts) == MaxPuts {
			return Puts{}, medispatcher.Problems{{Field: "body", Problem: fmt.Sprintf("holds more than %d subscriptions; split it", MaxPuts)}}
		}
		var head struct{ ID *string }
		field, problem, put := "", "", medispatcher.SubscriptionPut{}
		switch {
		case err != nil:
			problem = "is not JSON: " + medispatcher.JSONProblem(err)
		case json.Unmarshal(doc.raw, &head) != nil || doc.raw[0] != '{':
			problem = "is not a subscription: a JSON object with an id"
		case head.ID == nil:
			field, problem = ": id", "is missing"
		case first[*head.ID] > 0:
			field, problem = ": id", fmt.Sprintf("%s is also that of line %d", strconv.Quote(*head.ID), first[*head.ID])
		default:
			first[*head.ID] = doc.line
			put = medispatcher.SubscriptionPut{ID: *head.ID, Document: doc.raw}
		}
		if problem != "" {
			p.wrong[len(p.Puts)] = medispatcher.FieldError{Field: lineName(doc.line) + field, Problem: problem}
		}
		p.Puts = append(p.Puts, put)
		p.lines = append(p.lines, doc.line)
	}
	if len(p.Puts) == 0 {
		return Puts{}, medispatcher.Problems{{Field: "body", Problem: "holds no subscription"}}
	}
	return p, nil
}

// value is a JSON value and the line where it begins.
type value struct {
	line int
	raw  json.RawMessage
}

// values are JSON values in a row or in one array. After an error there are no more: what follows cannot be told apart.
func values(raw []byte) iter.Seq2[value, error] {
	return func(yield func(value, error) bool) {
		d, line := json.NewDecoder(bytes.NewReader(raw)), lineCounter{raw: raw}
		array := bytes.HasPrefix(bytes.TrimLeft(raw, space), []byte("["))
		if array {
			_, _ = d.Token()
		}
		for d.More() {
			v := value{line: line.ofNext(d.InputOffset())}
			if err := d.Decode(&v.raw); err != nil {
				yield(v, err)
				return
			}
			if !yield(v, nil) {
				return
			}
		}
		_, err := d.Token()
		if array && err == nil {
			if _, err = d.Token(); err == nil {
				err = errors.New("something follows the array")
			}
		} else if array {
			err = io.ErrUnexpectedEOF
		}
		if !errors.Is(err, io.EOF) {
			yield(value{line: line.ofNext(d.InputOffset())}, err)
		}
	}
}

const space = " \t\r\n" // between JSON values

// lineCounter finds the lines of places that only grow.
type lineCounter struct {
	raw   []byte
	at, n int
}

// ofNext is the line, from 1, of the first value at or behind a place.
func (c *lineCounter) ofNext(place int64) int {
	next := int(place)
	for next < len(c.raw) && strings.IndexByte(space+",", c.raw[next]) >= 0 {
		next++
	}
	c.n += bytes.Count(c.raw[c.at:next], []byte("\n"))
	c.at = next
	return c.n + 1
}

func lineName(n int) string { return "line " + strconv.Itoa(n) }

// PutsDone is what became of Puts.
type PutsDone struct {
	Created  int `json:"created"`
	Replaced int `json:"replaced"`

	Each []medispatcher.SubscriptionPutDone `json:"-"` // in their order
}

// PutAll puts all subscriptions, or none if one of them is wrong: the error is then Problems, by line. With any other error it
// tells how many are in force; to put all again is safe.
func PutAll(ctx context.Context, r Putter, p Puts) (done PutsDone, err error) {
	each, good := r.PutAllOrNone(ctx, p.Puts)
	problems, err := p.judge(each)
	switch {
	case len(p.wrong) > 0: // whatever Redis says
		return done, atMost(problems)
	case !good:
		return done, firstOf(problems, err)
	}
	done.Each = each
	for _, put := range each {
		switch {
		case put.Err != nil:
		case put.Created:
			done.Created++
		default:
			done.Replaced++
		}
	}
	if err != nil || len(problems) > 0 { // somebody changed them at the same time
		return done, fmt.Errorf("%d of %d subscriptions are in force: %w", done.Created+done.Replaced, len(p.Puts), firstOf(problems, err))
	}
	return done, nil
}

func firstOf(problems medispatcher.Problems, err error) error {
	if err != nil {
		return err
	}
	return atMost(problems)
}

// judge returns the problems of single subscriptions by line, and the first other error.
func (p Puts) judge(puts []medispatcher.SubscriptionPutDone) (problems medispatcher.Problems, err error) {
	for i, put := range puts {
		if own, none := p.wrong[i]; none {
			problems = append(problems, own)
			continue
		}
		of, wrong := errors.AsType[medispatcher.Problems](put.Err)
		for _, f := range of {
			f.Field = lineName(p.lines[i]) + ": " + f.Field
			problems = append(problems, f)
		}
		if put.Err != nil && !wrong && err == nil {
			err = put.Err
		}
	}
	return problems, err
}

// atMost bounds what is shown of problems. Of the others it names the lines.
func atMost(problems medispatcher.Problems) medispatcher.Problems {
	if len(problems) <= problemsShown {
		return problems
	}
	var lines []string
	for _, f := range problems[problemsShown:] {
		name, _, _ := strings.Cut(strings.TrimPrefix(f.Field, "line "), ":")
		lines = append(lines, name)
	}
	return append(problems[:problemsShown:problemsShown], medispatcher.FieldError{
		Field: "body", Problem: fmt.Sprintf("has %d more mistakes, in the lines %s", len(lines), strings.Join(slices.Compact(lines), ", ")),
	})
}
