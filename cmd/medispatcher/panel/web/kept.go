package web

import (
	"context"
	"net/http"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/cmd/medispatcher/operate"
)

// keptRow is a kept message in a list.
type keptRow struct {
	medispatcher.Kept
	Wanted int    // by how many subscriptions now
	Near   string // the topic that was probably meant, when no subscription wants this one
	Known  bool   // its topic is one
}

type keptData struct {
	place
	searching
	Unrouted bool // else it is the quarantine
	Rows     []keptRow
}

func (p *pages) keptList(at medispatcher.KeptPlace) func(http.ResponseWriter, *http.Request) error {
	return func(w http.ResponseWriter, r *http.Request) error {
		d := keptData{place: keptMessages(r, at), Unrouted: at == medispatcher.PlaceUnrouted}
		d.searching = readSearching(r.URL.Query())
		var err error
		if d.Count, err = p.keptCount(r.Context(), at); err != nil {
			return err
		}
		q, err := d.search(r)
		if err != nil {
			return err
		}
		page, err := p.kept.SearchKept(r.Context(), at, q, lettersPage, within(searchFor))
		if err != nil {
			return err
		}
		router := p.router()
		for _, k := range page.Messages {
			d.Rows = append(d.Rows, rowOfKept(r, k, router))
		}
		d.found(d.Link, len(d.Rows), page.Searched)
		return p.show(w, r, http.StatusOK, "kept", d.Title, d)
	}
}

func rowOfKept(r *http.Request, k medispatcher.Kept, router *medispatcher.Router) keptRow {
	if !operates(r) {
		k = operate.Discreet(k)
	}
	row := keptRow{Kept: k, Known: medispatcher.CheckTopic(k.Message.Topic) == nil}
	if row.Known {
		if row.Wanted = len(router.Route(k.Message.Topic)); row.Wanted == 0 {
			row.Near = router.Nearest(k.Message.Topic)
		}
	}
	return row
}

func keptLink(place medispatcher.KeptPlace) string { return "/" + string(place) }

// keptCount is how many messages a place holds.
func (p *pages) keptCount(ctx context.Context, place medispatcher.KeptPlace) (int64, error) {
	in, err := p.store.IncomingStatus(ctx)
	if place == medispatcher.PlaceUnrouted {
		return in.Unrouted, err
	}
	return in.Quarantine, err
}
