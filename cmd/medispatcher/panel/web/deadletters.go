package web

import (
	"net/http"
	"time"

	"github.com/solate/medispatcher"
)

const (
	lettersPage = 50
	// searchFor bounds how long one page searches. The next page goes on from there.
	searchFor = 200 * time.Millisecond
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
	searching
	ID   string
	Rows []letterRow
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
	d := lettersData{place: deadLetters(r, id), ID: id, searching: readSearching(r.URL.Query())}
	d.Count = counts[0].Dead
	if d.Count == 0 {
		if _, _, err := p.registry.Get(ctx, id); err != nil {
			return err
		}
	}
	q, err := d.search(r)
	if err != nil {
		return err
	}
	page, err := p.store.SearchDead(ctx, id, q, lettersPage, within(searchFor))
	if err != nil {
		return err
	}
	for i := range page.Letters {
		d.Rows = append(d.Rows, rowOf(&page.Letters[i]))
	}
	d.found(d.Link, len(d.Rows), page.Searched)
	return p.show(w, r, http.StatusOK, "deadletters", d.Title, d)
}

func rowOf(l *medispatcher.DeadLetter) letterRow {
	r := letterRow{ID: l.ID, Topic: l.Message.Topic, Message: l.Message.ID, Died: l.Died, Size: len(l.Message.Body)}
	if f := l.Failure; f != nil {
		r.Failed, r.Attempts, r.LastError, r.Target = true, f.Attempts, f.LastError, f.Target
	}
	return r
}
