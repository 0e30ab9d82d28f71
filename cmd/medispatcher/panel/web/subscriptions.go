package web

import (
	"cmp"
	"net/http"
	"slices"

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
	return p.show(w, r, http.StatusOK, "subscriptions", "Subscriptions", d)
}
