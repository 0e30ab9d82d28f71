package web

import (
	"net/http"

	"github.com/solate/medispatcher"
)

// watchShown is how many subscriptions of a topic the page shows.
const watchShown = 20

type publishData struct {
	Topic   string
	Wrong   string // what is wrong with the topic
	Near    string // the topic that was probably meant, when no subscription wants this one
	MaxBody int64
	wanting
	Incoming medispatcher.IncomingStatus
}

func (p *pages) publish(w http.ResponseWriter, r *http.Request) error {
	ctx := r.Context()
	d := publishData{Topic: r.URL.Query().Get("topic"), MaxBody: p.cfg.MaxBody}
	if d.Topic == "" {
		return p.show(w, r, http.StatusOK, "publish", "Publish", d)
	}
	if err := medispatcher.CheckTopic(d.Topic); err != nil {
		d.Wrong = err.Error()
		return p.show(w, r, http.StatusOK, "publish", "Publish", d)
	}
	subs, _, err := p.registry.Subscriptions(ctx)
	if err != nil {
		return err
	}
	if d.wanting, d.Near, err = p.wantedBy(ctx, subs, d.Topic); err != nil {
		return err
	}
	if d.Incoming, err = p.store.IncomingStatus(ctx); err != nil {
		return err
	}
	return p.show(w, r, http.StatusOK, "publish", "Publish", d)
}
