package web

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/solate/medispatcher"
)

const (
	lettersPage  = 50
	lettersChunk = 10 // are read at once
	// lettersLooked bounds what one page looks at when it searches: bodies come along.
	lettersLooked = 2000
	lettersFor    = 2 * time.Second
)

type deadData struct {
	Rows  []medispatcher.ChannelStatus
	Total int64
	More  int
}

// deadListed is how many subscriptions with dead letters are listed; the list of subscriptions
// has the others.
const deadListed = 200

func (p *pages) dead(w http.ResponseWriter, r *http.Request) error {
	st, err := p.state.get(r.Context())
	if err != nil {
		return err
	}
	var d deadData
	for _, c := range st.Subscriptions {
		if c.Dead == 0 {
			continue
		}
		d.Total += c.Dead
		if len(d.Rows) == deadListed {
			d.More++
			continue
		}
		d.Rows = append(d.Rows, c)
	}
	return p.show(w, r, http.StatusOK, "dead", "Dead letters", d)
}

// letterRow is a dead letter in a list.
type letterRow struct {
	ID, Topic, Message, LastError, Target string
	Attempts, Size                        int
	Died                                  time.Time
	Failed                                bool // there is a record
}

type lettersData struct {
	ID       string
	Count    int64
	Q, After string
	Rows     []letterRow
	Looked   int
	Next     string // link to the page behind; empty: this is the last one
	First    string // link to the first page, when this is another
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
	d := lettersData{ID: id, Count: counts[0].Dead, Q: strings.TrimSpace(q.Get("q")), After: q.Get("after")}
	d.Q = d.Q[:min(len(d.Q), maxQuery)]
	if d.Count == 0 {
		if _, _, err := p.registry.Get(ctx, id); err != nil {
			return err
		}
	}
	last, more, err := p.findLetters(ctx, &d)
	if err != nil {
		return err
	}
	v := url.Values{}
	if d.Q != "" {
		v.Set("q", d.Q)
	}
	if d.After != "" {
		d.First = deadLink(id) + "?" + v.Encode()
	}
	if more {
		v.Set("after", last)
		d.Next = deadLink(id) + "?" + v.Encode()
	}
	return p.show(w, r, http.StatusOK, "letters", "Dead letters of "+id, d)
}

// findLetters fills a page. It stops when the page is full, or when it has looked for long
// enough; more tells that there may be others behind last.
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

// letterMatches reports whether a search finds a letter: by its ids, its topic, its last error
// or where it went to.
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

type header struct{ Name, Value string }

// messageData is a message as a page shows it whole.
type messageData struct {
	Message  medispatcher.Message
	File     string // link to the body as a file
	Headers  []header
	Body     string
	Cut      bool // Body is only the beginning
	Indented bool
	Binary   bool // it is not UTF-8
}

func messageOf(m medispatcher.Message, file string) messageData {
	d := messageData{Message: m, File: file, Binary: !utf8.Valid(m.Body)}
	d.Body, d.Cut, d.Indented = bodyText(m.Body)
	if lines := headerLines(m.Headers); lines != "" {
		for line := range strings.SplitSeq(lines, "\n") {
			name, value, _ := strings.Cut(line, ": ")
			d.Headers = append(d.Headers, header{name, value})
		}
	}
	return d
}

type letterData struct {
	messageData
	Sub    string
	Letter medispatcher.DeadLetter
	Lasted string
}

func (p *pages) letter(w http.ResponseWriter, r *http.Request) error {
	l, err := p.readLetter(r)
	if err != nil {
		return err
	}
	sub := r.PathValue("id")
	d := letterData{Sub: sub, Letter: l, messageData: messageOf(l.Message, deadLink(sub)+"/"+l.ID+"/body")}
	if f := l.Failure; f != nil {
		d.Lasted = words(f.LastAt.Sub(f.FirstAt))
	}
	return p.show(w, r, http.StatusOK, "letter", "Dead letter "+l.ID, d)
}

func (p *pages) readLetter(r *http.Request) (medispatcher.DeadLetter, error) {
	if err := medispatcher.CheckSubscriptionID(r.PathValue("id")); err != nil {
		return medispatcher.DeadLetter{}, err
	}
	return p.store.DeadLetter(r.Context(), r.PathValue("id"), r.PathValue("letter"))
}

// letterBody hands a body out byte by byte, as a file that no browser shows.
func (p *pages) letterBody(w http.ResponseWriter, r *http.Request) error {
	l, err := p.readLetter(r)
	if err != nil {
		return err
	}
	writeFile(w, l.ID, l.Message.Body)
	return nil
}

// writeFile answers with a file that no browser shows.
func writeFile(w http.ResponseWriter, name string, body []byte) {
	h := w.Header()
	h.Set("Content-Type", "text/plain; charset=utf-8")
	h.Set("Content-Disposition", fmt.Sprintf(`attachment; filename="%s.txt"`, name))
	h.Set("Content-Security-Policy", "sandbox; default-src 'none'")
	_, _ = w.Write(body)
}
