package web

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/solate/medispatcher"
)

// deliveriesPage is how many attempts a page shows.
const deliveriesPage = 50

type deliveriesData struct {
	paging
	ID       string
	Link     string
	Query    medispatcher.AttemptQuery
	Outcomes []string
	Wrong    string // what is wrong with the query
	Rows     []medispatcher.Attempt
	All      int // in the list
}

// Filtered reports whether only some attempts were asked for.
func (d deliveriesData) Filtered() bool {
	return d.Query.Outcome != "" || d.Query.Status != "" || d.Query.Text != ""
}

func (p *pages) deliveries(w http.ResponseWriter, r *http.Request) error {
	ctx, id, v := r.Context(), r.PathValue("id"), r.URL.Query()
	if err := medispatcher.CheckSubscriptionID(id); err != nil {
		return err
	}
	d := deliveriesData{
		ID: id, Link: "/subscriptions/" + url.PathEscape(id) + "/deliveries", Outcomes: medispatcher.AttemptOutcomes,
		Query: medispatcher.AttemptQuery{
			Outcome: v.Get("outcome"), Status: strings.TrimSpace(v.Get("status")), Text: strings.TrimSpace(v.Get("text")), After: v.Get("after"), Limit: deliveriesPage,
		},
	}
	d.Query.Text = d.Query.Text[:min(len(d.Query.Text), maxQuery)]
	list, err := p.store.Attempts(ctx, id)
	if err != nil {
		return err
	}
	if d.All = len(list); d.All == 0 {
		if _, _, err := p.registry.Get(ctx, id); err != nil {
			return err
		}
	}
	next := ""
	if err := d.Query.Check(); err != nil {
		d.Wrong = medispatcher.OneLine(err)
	} else {
		d.Rows, next = d.Query.Page(list)
	}
	query := url.Values{}
	for name, value := range map[string]string{"outcome": d.Query.Outcome, "status": d.Query.Status, "text": d.Query.Text, "after": d.Query.After} {
		if value != "" {
			query.Set(name, value)
		}
	}
	d.paging = pagingOf(d.Link, query, next)
	return p.show(w, r, http.StatusOK, "deliveries", "Deliveries of "+id, d)
}
