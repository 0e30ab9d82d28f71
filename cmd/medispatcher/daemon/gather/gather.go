// Package gather keeps a log readable when thousands of lines say the same. Of the lines of one kind the first few in a period are
// written as they are; the others are counted, and one line at the end of the period stands for them.
package gather

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"
)

const (
	// Period is how long lines of a kind are counted, from the first on.
	Period = 10 * time.Second
	// Few is how many lines of a kind are written in a period, unless the kind says otherwise.
	Few = 20
	// maxGroups bounds the groups of a kind in a period. Further ones are counted together.
	maxGroups = 20
	// others is what their line has in place of what they differ in.
	others = "others"
)

// Kind is a kind of line of which there may be very many at once. Others are written as they are.
type Kind struct {
	Line  string              // its text
	Many  string              // the text of the line that stands for several
	Few   int                 // 0: Few
	By    string              // the attribute by which lines are counted apart; empty: none
	Group func(string) string // makes a group of its value; nil: each value is one
	First string              // the attribute of which the line shows the first and last value, by the names "first" and "last"
}

// Handler is a slog.Handler that gathers the lines of some kinds.
type Handler struct {
	next slog.Handler
	with []slog.Attr // by WithAttrs
	all  *kinds
}

type kinds struct {
	out    slog.Handler
	mu     sync.Mutex
	by     map[string]*counted // by text; nobody adds one
	closed bool
}

// counted is what there was of a kind in the present period.
type counted struct {
	Kind
	began  time.Time
	lines  int
	groups []*group // in order; empty: nothing is gathered
}

// group is what one line will stand for.
type group struct {
	of          string
	level       slog.Level
	count       int
	first, last string
	same        []slog.Attr // attributes that all lines have alike
}

// New makes a handler that gathers before another one. Close has to be called before that one ends.
func New(next slog.Handler, list []Kind) *Handler {
	h := &Handler{next: next, all: &kinds{out: next, by: map[string]*counted{}}}
	for _, k := range list {
		if k.Few == 0 {
			k.Few = Few
		}
		h.all.by[k.Line] = &counted{Kind: k}
	}
	return h
}

// Enabled implements slog.Handler.
func (h *Handler) Enabled(ctx context.Context, level slog.Level) bool {
	return h.next.Enabled(ctx, level)
}

// WithAttrs implements slog.Handler.
func (h *Handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	with := *h
	with.next, with.with = h.next.WithAttrs(attrs), slices.Concat(h.with, attrs)
	return &with
}

// WithGroup implements slog.Handler.
func (h *Handler) WithGroup(name string) slog.Handler {
	with := *h
	with.next = h.next.WithGroup(name)
	return &with
}

// Handle implements slog.Handler.
func (h *Handler) Handle(ctx context.Context, r slog.Record) error { //nolint:gocritic // the interface is not ours
	if c := h.all.by[r.Message]; c != nil && h.all.gathers(c, h, &r) {
		return nil
	}
	return h.next.Handle(ctx, r)
}

// Close writes what is counted. Lines that come later are written as they are.
func (h *Handler) Close() error {
	h.all.mu.Lock()
	h.all.closed = true
	h.all.mu.Unlock()
	for _, c := range h.all.by {
		h.all.end(c)
	}
	return nil
}

// gathers counts a line, and reports whether it is not to be written.
func (k *kinds) gathers(c *counted, h *Handler, r *slog.Record) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.closed {
		return false
	}
	now := time.Now()
	if len(c.groups) == 0 && now.Sub(c.began) >= Period {
		c.began, c.lines = now, 0
	}
	if c.lines++; c.lines <= c.Few {
		return false
	}
	if len(c.groups) == 0 {
		time.AfterFunc(c.began.Add(Period).Sub(now), func() { k.end(c) })
	}
	attrs := slices.Clone(h.with)
	r.Attrs(func(a slog.Attr) bool {
		attrs = append(attrs, a)
		return true
	})
	c.add(attrs, r.Level)
	return true
}

// add counts a line.
func (c *counted) add(attrs []slog.Attr, level slog.Level) {
	of := valueOf(attrs, c.By)
	if c.Group != nil {
		of = c.Group(of)
	}
	i := slices.IndexFunc(c.groups, func(g *group) bool { return g.of == of || g.of == others })
	if i < 0 {
		if i = len(c.groups); i == maxGroups {
			of = others
		}
		own := func(a slog.Attr) bool { return a.Key == c.By || a.Key == c.First }
		c.groups = append(c.groups, &group{of: of, level: level, first: valueOf(attrs, c.First), same: slices.DeleteFunc(slices.Clone(attrs), own)})
	}
	g := c.groups[i]
	g.count++
	g.last = valueOf(attrs, c.First)
	g.same = slices.DeleteFunc(g.same, func(a slog.Attr) bool { return valueOf(attrs, a.Key) != a.Value.String() })
}

// end writes what was counted in a period.
func (k *kinds) end(c *counted) {
	k.mu.Lock()
	groups, took := c.groups, time.Since(c.began)
	c.groups, c.began = nil, time.Time{}
	k.mu.Unlock()
	for _, g := range groups {
		line := slog.NewRecord(time.Now(), g.level, c.Many, 0)
		if c.By != "" && g.of != "" {
			line.AddAttrs(slog.String(c.By, g.of))
		}
		line.AddAttrs(slog.Int("count", g.count), slog.String("in", took.Round(time.Second).String()))
		if c.First != "" {
			line.AddAttrs(slog.String("first", g.first), slog.String("last", g.last))
		}
		line.AddAttrs(g.same...)
		_ = k.out.Handle(context.Background(), line) // as slog does
	}
}

// valueOf is the value of an attribute; empty: there is none.
func valueOf(attrs []slog.Attr, key string) string {
	for _, a := range attrs {
		if a.Key == key {
			return a.Value.String()
		}
	}
	return ""
}
