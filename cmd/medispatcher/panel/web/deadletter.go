package web

import (
	"net/http"

	"github.com/solate/medispatcher"
)

type letterData struct {
	messageData
	place
	Sub    string
	Letter medispatcher.DeadLetter
	Place  medispatcher.Place
	Lasted string
}

func (p *pages) letter(w http.ResponseWriter, r *http.Request) error {
	l, err := p.readLetter(r)
	if err != nil {
		return err
	}
	sub := r.PathValue("id")
	d := letterData{Sub: sub, Letter: l, place: deadLetters(r, sub), messageData: messageOf(r, l.Message, deadLink(sub)+"/"+l.ID+"/body")}
	d.One = l.ID
	if d.Place, err = medispatcher.ParseRef("dead/" + sub + "/" + l.ID); err != nil {
		return err
	}
	if f := l.Failure; f != nil {
		d.Lasted = words(f.LastAt.Sub(f.FirstAt))
	}
	return p.show(w, r, http.StatusOK, "deadletter", "Dead letter "+l.ID, d)
}

func (p *pages) readLetter(r *http.Request) (medispatcher.DeadLetter, error) {
	if err := medispatcher.CheckSubscriptionID(r.PathValue("id")); err != nil {
		return medispatcher.DeadLetter{}, err
	}
	return p.store.DeadLetter(r.Context(), r.PathValue("id"), r.PathValue("letter"))
}

// letterBody answers with the body, unchanged, as a file to download.
func (p *pages) letterBody(w http.ResponseWriter, r *http.Request) error {
	l, err := p.readLetter(r)
	if err != nil {
		return err
	}
	writeFile(w, l.ID, l.Message.Body)
	return nil
}
