package web

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/cmd/internal/access"
	"github.com/solate/medispatcher/cmd/medispatcher/operate"
	"github.com/solate/medispatcher/cmd/medispatcher/panel/auth"
)

// topicsPage is how many topics a page lists.
const topicsPage = 50

// topicNames are the topics of which messages were received, sorted.
type topicNames struct {
	Names []string
	More  bool // there are others
}

func (p *pages) readTopics(ctx context.Context) (t topicNames, err error) {
	t.Names, t.More, err = p.store.Topics(ctx)
	return t, err
}

type topicRow struct {
	medispatcher.TopicStats
	Wanted int // by so many subscriptions now
}

type topicsData struct {
	Q                string
	Rows             []topicRow
	Found            int
	More             bool // there are topics that are not listed at all
	Page, Pages      int
	Before, NextPage string // links
}

// topicList is the page of all topics.
func (p *pages) topicList(w http.ResponseWriter, r *http.Request) error {
	ctx := r.Context()
	all, err := p.topics.get(ctx)
	if err != nil {
		return err
	}
	d := topicsData{Q: strings.TrimSpace(r.URL.Query().Get("q")), More: all.More}
	d.Q = d.Q[:min(len(d.Q), maxQuery)]
	var found []string
	for _, t := range all.Names {
		if strings.Contains(strings.ToLower(t), strings.ToLower(d.Q)) {
			found = append(found, t)
		}
	}
	d.Found, d.Pages = len(found), max(1, (len(found)+topicsPage-1)/topicsPage)
	d.Page, _ = strconv.Atoi(r.URL.Query().Get("page"))
	d.Page = min(max(d.Page, 1), d.Pages)
	found = found[(d.Page-1)*topicsPage : min(len(found), d.Page*topicsPage)]
	if d.Page > 1 {
		d.Before = d.link(d.Page - 1)
	}
	if d.Page < d.Pages {
		d.NextPage = d.link(d.Page + 1)
	}
	stats, err := p.store.Stats(ctx, nil, found)
	if err != nil {
		return err
	}
	router := p.router()
	for _, t := range stats.Topics {
		d.Rows = append(d.Rows, topicRow{t, len(router.Route(t.Topic))})
	}
	return p.show(w, r, http.StatusOK, "topics", "Topics", d)
}

func (d *topicsData) link(page int) string {
	v := url.Values{"page": {strconv.Itoa(page)}}
	if d.Q != "" {
		v.Set("q", d.Q)
	}
	return "/topics?" + v.Encode()
}

type topicData struct {
	Topic string
	Stats medispatcher.TopicStats
	Near  string // the topic that was probably meant, when no subscription wants this one
	wanting
}

// wanting are the subscriptions that want a topic.
type wanting struct {
	Rows      []row
	More      int  // that are not shown
	Subscribe bool // the visitor may
	Publish   bool // the visitor may
}

// topic is the page of one topic.
func (p *pages) topic(w http.ResponseWriter, r *http.Request) error {
	ctx, d := r.Context(), topicData{Topic: r.PathValue("topic")}
	if err := medispatcher.CheckTopic(d.Topic); err != nil {
		return medispatcher.FieldError{Field: "topic", Problem: err.Error()}
	}
	subs, _, err := p.registry.Subscriptions(ctx)
	if err != nil {
		return err
	}
	if d.wanting, d.Near, err = p.wantedBy(ctx, subs, d.Topic); err != nil {
		return err
	}
	stats, err := p.store.Stats(ctx, nil, []string{d.Topic})
	if err != nil {
		return err
	}
	d.Stats = stats.Topics[0]
	return p.show(w, r, http.StatusOK, "topic", "Topic "+d.Topic, d)
}

// wantedBy is which subscriptions want a topic, or else the topic that was probably meant.
func (p *pages) wantedBy(ctx context.Context, subs *medispatcher.Subscriptions, topic string) (w wanting, near string, err error) {
	router := subs.Router()
	ids := slices.Clone(router.Route(topic))
	if len(ids) == 0 {
		near = router.Nearest(topic)
	}
	visitor := auth.From(ctx)
	w.Subscribe, w.Publish = visitor.May(access.Admin), visitor.May(access.Operator)
	w.More = max(0, len(ids)-watchShown)
	ids = ids[:len(ids)-w.More]
	matching := make([]*medispatcher.Subscription, len(ids))
	for i, id := range ids {
		matching[i] = subs.Get(id)
	}
	channels, _, err := operate.Channels(ctx, p.store, matching)
	if err != nil {
		return w, "", err
	}
	stats, err := p.store.Stats(ctx, ids, nil)
	if err != nil {
		return w, "", err
	}
	for i := range channels {
		w.Rows = append(w.Rows, row{channels[i], stats.Subscriptions[i]})
	}
	return w, near, nil
}
