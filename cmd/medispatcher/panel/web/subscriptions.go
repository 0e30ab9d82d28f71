package web

import (
	"cmp"
	"encoding/json"
	"net/http"
	"slices"
	"strings"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/cmd/medispatcher/operate"
)

const (
	listPage = 50
	maxQuery = 256 // bytes of a search
)

// row is a subscription in a list.
type row struct {
	medispatcher.ChannelStatus
	Stats medispatcher.SubscriptionStats
}

// Waits is how many messages are not settled.
func (r row) Waits() int64 { return r.Ready + r.Buried }

type listData struct {
	listQuery
	Rows     []row
	Found    int // by the search and the filter
	All      int // subscriptions
	From, To int // numbers of the rows
	Pages    int
	Filters  []option
	Columns  []column
	Fields   []field // that may be changed in many at once
}

// column is a column of the table.
type column struct{ Key, Label, Class, Help string }

var listColumns = []column{
	{"id", "Subscription", "", ""}, {"", "State", "", ""},
	{"ready", "READY", "num", "in the channel, not yet read by a worker"},
	{"buried", "BURIED", "num", "read and not settled: in flight or waiting for the next attempt"},
	{"retrying", "Retrying", "num", "failed, waiting for the next attempt; part of BURIED"},
	{"dead", "DEAD", "num", "attempts exhausted"},
	{"oldest", "Oldest", "num", "age of the oldest message that is not settled"},
	{"", "Sent / min", "num", "delivered in the last minute"}, {"", "Failed / min", "num", "attempts that failed in the last minute"},
}

func (p *pages) list(w http.ResponseWriter, r *http.Request) error {
	ctx := r.Context()
	d := listData{listQuery: readListQuery(r.URL.Query()), Filters: stateFilters, Columns: listColumns}
	subs, _, err := p.registry.Subscriptions(ctx)
	if err != nil {
		return err
	}
	d.All = subs.Len()
	var found []medispatcher.ChannelStatus
	if d.needsCounts() {
		st, err := p.state.get(ctx)
		if err != nil {
			return err
		}
		for _, c := range st.Subscriptions {
			if s := subs.Get(c.ID); s != nil && d.finds(s) && d.wants(&c) {
				found = append(found, c)
			}
		}
	} else {
		for s := range subs.All() {
			c := medispatcher.ChannelStatus{ID: s.ID, State: operate.StateOf(s)}
			if d.finds(s) && d.wants(&c) {
				found = append(found, c)
			}
		}
	}
	slices.SortFunc(found, func(x, y medispatcher.ChannelStatus) int { return d.compare(&x, &y) })
	if r.URL.Query().Has("ids") { // of all that match, for a script that changes them
		ids := make([]string, len(found))
		for i, c := range found {
			ids[i] = c.ID
		}
		w.Header().Set("Content-Type", "application/json")
		return json.NewEncoder(w).Encode(ids)
	}
	d.Found, d.Pages = len(found), max(1, (len(found)+listPage-1)/listPage)
	d.Page = min(d.Page, d.Pages)
	from := (d.Page - 1) * listPage
	found = found[from:min(len(found), from+listPage)]
	d.From, d.To = from+1, from+len(found)

	shown := make([]*medispatcher.Subscription, len(found))
	ids := make([]string, len(found))
	for i, c := range found {
		shown[i], ids[i] = subs.Get(c.ID), c.ID
	}
	fresh, _, err := operate.Channels(ctx, p.store, shown)
	if err != nil {
		return err
	}
	stats, err := p.store.Stats(ctx, ids, nil)
	if err != nil {
		return err
	}
	for i, id := range ids {
		at, _ := slices.BinarySearchFunc(fresh, id, func(c medispatcher.ChannelStatus, id string) int { return cmp.Compare(c.ID, id) })
		d.Rows = append(d.Rows, row{fresh[at], stats.Subscriptions[i]})
	}
	d.Fields = p.bulkFields()
	return p.show(w, r, http.StatusOK, "subscriptions", "Subscriptions", d)
}

// IDs is the address of the ids of all that match.
func (d listData) IDs() string {
	q := d.listQuery
	q.Page = 1
	link := q.link()
	if strings.Contains(link, "?") {
		return link + "&ids"
	}
	return link + "?ids"
}

// bulkFields are the parameters of one line that several subscriptions may share.
func (p *pages) bulkFields() (list []field) {
	for _, f := range medispatcher.Fields() {
		if f.Group == "" || f.Secret || f.Name == "topic" || f.Name == "paused" {
			continue
		}
		shown := p.field(f, &p.cfg.Rules.Defaults)
		switch shown.Kind {
		case kindText, kindNumber, kindCheck, kindChoice:
			list = append(list, shown)
		}
	}
	return list
}
