package web

import "net/http"

func (p *pages) subscribe(w http.ResponseWriter, r *http.Request) error {
	d := subscriptionData{Sub: p.cfg.Rules.Defaults}
	d.Sub.Topic = r.URL.Query().Get("topic")
	d.Groups = p.fields(&d.Sub)
	return p.show(w, r, http.StatusOK, "subscribe", "New subscription", d)
}
