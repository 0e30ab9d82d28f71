package rdb

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Cursor reads the values of an answer one after the other. The first one that is not of the type
// that was asked for sets Err; it and all that follow are empty.
type Cursor struct {
	answer string
	at     int
	long   []string // see inbox
	taken  int      // of long
	own    bool     // the memory is not the inbox's
	err    error
}

// NewCursor is at the beginning of an answer, whose bytes are RESP.
func NewCursor(answer string) *Cursor { return &Cursor{answer: answer, own: true} }

// Err says what was wrong with the answer.
func (c *Cursor) Err() error { return c.err }

var errLength = errors.New("unreadable answer: a length in it is wrong")

func (c *Cursor) fail(err error) {
	if c.err == nil {
		c.err = err
	}
	c.at = len(c.answer)
}

func (c *Cursor) unexpected(at int) {
	line, _, _ := strings.Cut(c.answer[at:], "\r")
	c.fail(fmt.Errorf("unreadable answer at %.200q", line))
}

// next takes the line that begins a value: see header. After an error the type is 0.
func (c *Cursor) next() (kind byte, n int) {
	kind, n, size := header(c.answer[c.at:])
	if size == 0 {
		c.fail(errLength)
		return 0, 0
	}
	c.at += size
	return kind, n
}

// view is the string that comes next, in the memory of the answer.
func (c *Cursor) view() string {
	line := c.at
	kind, n := c.next()
	return c.content(line, kind, n)
}

// content takes what follows the line of a string.
func (c *Cursor) content(line int, kind byte, n int) string {
	begin := c.at
	switch {
	case kind == '+':
		return c.answer[line+1 : begin-len("\r\n")]
	case kind == '$' && n < 0:
		return ""
	case kind == '$' && begin+n+len("\r\n") <= len(c.answer):
		c.at += n + len("\r\n")
		return c.answer[begin : begin+n]
	case kind == outside && c.taken < len(c.long):
		c.taken++
		return c.long[c.taken-1]
	case kind != 0:
		c.unexpected(line)
	}
	return ""
}

// Text is the string that comes next; "" if it is missing.
func (c *Cursor) Text() string {
	if c.own {
		return c.view()
	}
	return strings.Clone(c.view())
}

// Int is the number that comes next, which may stand in a string; 0 if it is missing.
func (c *Cursor) Int() int {
	line := c.at
	kind, n := c.next()
	if kind != ':' {
		n, _ = strconv.Atoi(c.content(line, kind, n))
	}
	return n
}

// Len enters a list, and is the number of its elements, which come next; 0 if it is missing.
func (c *Cursor) Len() int {
	line := c.at
	kind, n := c.next()
	switch {
	case n > len(c.answer)-c.at: // an element takes more than one byte
		c.fail(errLength)
		return 0
	case kind == '*' || kind == '$' && n < 0:
		return max(0, n)
	case kind != 0:
		c.unexpected(line)
	}
	return 0
}

// Value is what comes next: a string, an int64, a list, or nil if it is missing.
func (c *Cursor) Value() any {
	ahead := *c
	switch kind, n := ahead.next(); {
	case kind == ':':
		return int64(c.Int())
	case n < 0:
		c.skip()
		return nil
	case kind == '*':
		list := make([]any, c.Len())
		for i := range list {
			list[i] = c.Value()
		}
		return list
	}
	return c.Text()
}

// skip passes over a value, with all that is in it.
func (c *Cursor) skip() {
	w := walk{at: c.at, left: 1}
	if w.over(c.answer); w.left > 0 || c.taken+w.long > len(c.long) {
		c.fail(errLength)
		return
	}
	c.at, c.taken = w.at, c.taken+w.long
}

// cut is at the value that comes next, which it holds alone, in memory of its own. c passes over it.
func (c *Cursor) cut() Cursor {
	from, taken := c.at, c.taken
	c.skip()
	if c.err != nil {
		return Cursor{err: c.err}
	}
	part := Cursor{answer: c.answer[from:c.at], long: c.long[taken:c.taken], own: true}
	if !c.own {
		part.answer, part.long = strings.Clone(part.answer), slices.Clone(part.long)
	}
	return part
}

// Fields are the names and values in the list that comes next, in memory of their own.
func (c *Cursor) Fields() Fields { return Fields{c.cut()} }

// Entry is the entry of a stream that comes next, in memory of its own.
func (c *Cursor) Entry() (e Entry) {
	part := c.cut()
	if part.Len() != 2 {
		part.fail(errLength)
	}
	e.ID, e.Fields = part.Text(), Fields{part}
	if part.err != nil {
		c.fail(part.err)
	}
	return e
}
