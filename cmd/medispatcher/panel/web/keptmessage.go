package web

import (
	"net/http"
	"slices"
	"strings"

	"github.com/solate/medispatcher"
)

type keptOneData struct {
	messageData
	keptRow
	place
	Unrouted bool
	Fields   []header // of a quarantined one, without body and raw
	Whole    bool     // there is a body, or a raw item
}

func (p *pages) keptOne(at medispatcher.KeptPlace) func(http.ResponseWriter, *http.Request) error {
	return func(w http.ResponseWriter, r *http.Request) error {
		k, err := p.kept.ReadKept(r.Context(), at, r.PathValue("message"))
		if err != nil {
			return err
		}
		row := rowOfKept(r, k, p.router())
		m := row.Message
		m.Body, _ = k.Body()
		d := keptOneData{
			place: keptMessages(r, at), Unrouted: at == medispatcher.PlaceUnrouted, keptRow: row,
			messageData: messageOf(r, m, keptLink(at)+"/"+k.ID+"/body"),
		}
		d.One = k.ID
		_, d.Whole = k.Body()
		for name, value := range k.Fields {
			if name != "body" && name != "raw" && !d.Hidden {
				d.Fields = append(d.Fields, header{name, value})
			}
		}
		slices.SortFunc(d.Fields, func(x, y header) int { return strings.Compare(x.Name, y.Name) })
		d.Fields = d.Fields[:min(len(d.Fields), fieldsShown)]
		return p.show(w, r, http.StatusOK, "keptmessage", d.Title+" "+k.ID, d)
	}
}

// fieldsShown bounds the fields of an entry that are shown.
const fieldsShown = 100

// keptFile answers with the body, unchanged, as a file to download.
func (p *pages) keptFile(at medispatcher.KeptPlace) func(http.ResponseWriter, *http.Request) error {
	return func(w http.ResponseWriter, r *http.Request) error {
		k, err := p.kept.ReadKept(r.Context(), at, r.PathValue("message"))
		if err != nil {
			return err
		}
		body, _ := k.Body()
		writeFile(w, k.ID, body)
		return nil
	}
}
