package web

import (
	"net/http"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/cmd/medispatcher/operate"
)

// watchShown is how many subscriptions of a topic the page shows.
const watchShown = 20

type publishData struct {
	Topic    string
	Wrong    string // what is wrong with the topic
	Near     string // the topic that was probably meant, when no subscription wants this one
	MaxBody  int64
	Rows     []row
	More     int
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
	ids := subs.Router().Route(d.Topic)
	if len(ids) == 0 {
		d.Near = subs.Router().Nearest(d.Topic)
	}
	d.More = max(0, len(ids)-watchShown)
	ids = ids[:len(ids)-d.More]
	matching := make([]*medispatcher.Subscription, len(ids))
	for i, id := range ids {
		matching[i] = subs.Get(id)
	}
	channels, _, err := operate.Channels(ctx, p.store, matching)
	if err != nil {
		return err
	}
	stats, err := p.store.Stats(ctx, ids, nil)
	if err != nil {
		return err
	}
	for i := range channels {
		d.Rows = append(d.Rows, row{channels[i], stats.Subscriptions[i]})
	}
	if d.Incoming, err = p.store.IncomingStatus(ctx); err != nil {
		return err
	}
	return p.show(w, r, http.StatusOK, "publish", "Publish", d)
}
