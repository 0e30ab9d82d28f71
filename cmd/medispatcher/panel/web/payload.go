package web

import (
	"net/http"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/cmd/medispatcher/operate"
)

// Pusher makes requests as a dispatcher does.
type Pusher interface {
	Show(sub *medispatcher.Subscription, d *medispatcher.Delivery) (medispatcher.Request, error)
}

type payloadData struct {
	messageData
	ID, Link     string // of the message's page
	Place        medispatcher.Place
	Subscription string // whose request is shown
	Asked        bool   // it was named in the address
	Curl         string
	BodyFile     string // that the command reads; empty: the body stands in it
	Masked       bool
	Problem      string // why there is no request
}

// payload shows a message whole, and the request that pushes it. It updates nothing by itself: each look reads the body.
func (p *pages) payload(w http.ResponseWriter, r *http.Request) error {
	ctx, id, q := r.Context(), r.PathValue("id"), r.URL.Query()
	subs, _, err := p.registry.Subscriptions(ctx)
	if err != nil {
		return err
	}
	found, err := operate.Find(ctx, p.store, subs.IDs(), id, q.Get("at"), "")
	if err != nil {
		return err
	}
	delivery := found.Delivery()
	d := payloadData{ID: id, Link: messageLink(id), Place: found.Place, Subscription: delivery.Subscription}
	d.messageData = messageOf(r, found.Message, "/api/v1"+operate.BodyPath(id, found.Place))
	if d.Subscription == "" {
		d.Subscription, d.Asked = q.Get("subscription"), true
		delivery.Subscription = d.Subscription
	}
	if d.Subscription != "" {
		d.Problem = p.showRequest(r, &d, delivery)
	}
	return p.show(w, r, http.StatusOK, "payload", "Payload of "+shortText(id), d)
}

// showRequest fills in the request, or returns why there is none.
func (p *pages) showRequest(r *http.Request, d *payloadData, delivery *medispatcher.Delivery) (problem string) {
	sub, _, err := p.registry.Get(r.Context(), d.Subscription)
	if err != nil {
		return medispatcher.OneLine(err)
	}
	req, err := p.pusher.Show(&sub, delivery)
	if err != nil {
		return err.Error()
	}
	d.Masked = req.Masked
	inline := false
	if d.Curl, inline = operate.Curl(&req, operate.BodyFile(d.ID)); !inline {
		d.BodyFile = operate.BodyFile(d.ID)
	}
	return ""
}
