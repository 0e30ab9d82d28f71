package web

import (
	"cmp"
	"net/http"
	"slices"

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
	var matching []medispatcher.Subscription
	for _, s := range subs {
		if s.Wants(d.Topic) {
			matching = append(matching, s)
		}
	}
	if len(matching) == 0 {
		d.Near = p.router().Nearest(d.Topic)
	}
	slices.SortFunc(matching, func(x, y medispatcher.Subscription) int { return cmp.Compare(x.ID, y.ID) })
	d.More = max(0, len(matching)-watchShown)
	matching = matching[:len(matching)-d.More]
	ids := make([]string, len(matching))
	for i, s := range matching {
		ids[i] = s.ID
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
