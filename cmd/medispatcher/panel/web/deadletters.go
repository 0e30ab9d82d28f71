package web

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/solate/medispatcher"
)

const (
	lettersPage  = 50
	lettersChunk = 10 // read at once
	// lettersLooked bounds how many letters one search reads, because it reads their bodies as well.
	lettersLooked = 2000
	lettersFor    = 2 * time.Second
)

// letterRow is a dead letter in a list.
type letterRow struct {
	ID, Topic, Message, LastError, Target string
	Attempts, Size                        int
	Died                                  time.Time
	Failed                                bool // there is a record
}

type lettersData struct {
	place
	paging
	ID       string
	Q, After string
	Rows     []letterRow
	Looked   int
}

func (p *pages) letters(w http.ResponseWriter, r *http.Request) error {
	ctx, id := r.Context(), r.PathValue("id")
	if err := medispatcher.CheckSubscriptionID(id); err != nil {
		return err
	}
	counts, err := p.store.ChannelStatus(ctx, []string{id})
	if err != nil {
		return err
	}
	q := r.URL.Query()
	d := lettersData{place: deadLetters(r, id), ID: id, Q: strings.TrimSpace(q.Get("q")), After: q.Get("after")}
	d.Q, d.Count = d.Q[:min(len(d.Q), maxQuery)], counts[0].Dead
	if d.Count == 0 {
		if _, _, err := p.registry.Get(ctx, id); err != nil {
			return err
		}
	}
	last, more, err := p.findLetters(ctx, &d)
	if err != nil {
		return err
	}
	v := url.Values{"after": {d.After}}
	if d.Q != "" {
		v.Set("q", d.Q)
	}
	if !more {
		last = ""
	}
	d.paging = pagingOf(d.Link, v, last)
	return p.show(w, r, http.StatusOK, "deadletters", d.Title, d)
}

// findLetters fills a page. It stops when the page is full or the search took too long; more then
// says that there may be others after last.
func (p *pages) findLetters(ctx context.Context, d *lettersData) (last string, more bool, err error) {
	deadline := time.Now().Add(lettersFor)
	last = d.After
	for {
		chunk, err := p.store.DeadLetters(ctx, d.ID, last, lettersChunk)
		if err != nil {
			return "", false, err
		}
		for i := range chunk {
			if len(d.Rows) == lettersPage {
				return last, true, nil
			}
			l := &chunk[i]
			last = l.ID
			d.Looked++
			if letterMatches(l, d.Q) {
				d.Rows = append(d.Rows, rowOf(l))
			}
		}
		switch {
		case len(chunk) < lettersChunk:
			return last, false, nil
		case d.Looked >= lettersLooked || time.Now().After(deadline):
			return last, true, nil
		}
	}
}

func rowOf(l *medispatcher.DeadLetter) letterRow {
	r := letterRow{ID: l.ID, Topic: l.Message.Topic, Message: l.Message.ID, Died: l.Died, Size: len(l.Message.Body)}
	if f := l.Failure; f != nil {
		r.Failed, r.Attempts, r.LastError, r.Target = true, f.Attempts, f.LastError, f.Target
	}
	return r
}

// letterMatches reports whether a search finds a letter by its ids, topic, key, sender, last error
// or target.
func letterMatches(l *medispatcher.DeadLetter, q string) bool {
	if q == "" {
		return true
	}
	in := []string{l.ID, l.Message.ID, l.Message.Topic, l.Message.Key, l.Message.Sender}
	if l.Failure != nil {
		in = append(in, l.Failure.LastError, l.Failure.Target)
	}
	q = strings.ToLower(q)
	for _, text := range in {
		if strings.Contains(strings.ToLower(text), q) {
			return true
		}
	}
	return false
}
