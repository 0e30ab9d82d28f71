package web

import (
	"cmp"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/cmd/medispatcher/operate"
)

const (
	listPage = 50
	maxQuery = 256 // bytes of a search
)

// States that the list can be filtered by, beside those of medispatcher.ChannelStatus.
const (
	filterRetrying = "retrying"
	filterDead     = "dead"
	filterWaiting  = "waiting"
)

type option struct{ Value, Label string }

var stateFilters = []option{
	{"", "all"}, {medispatcher.Active, "active"}, {medispatcher.Paused, "paused"}, {medispatcher.BreakerOpen, "breaker open"},
	{filterRetrying, "with retrying messages"}, {filterDead, "with dead letters"}, {filterWaiting, "with waiting messages"},
}

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
	Found    int // that the search and the filter let pass
	All      int // subscriptions
	From, To int // numbers of the rows
	Pages    int
	Filters  []option
	Columns  []column
}

// column is a head of the table.
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

// listQuery is what somebody wants to see of the list.
type listQuery struct {
	Q, State, Sort string
	Desc           bool
	Page           int // 1, 2, …
}

func readListQuery(q url.Values) listQuery {
	l := listQuery{Q: strings.TrimSpace(q.Get("q")), State: q.Get("state"), Sort: q.Get("sort"), Desc: q.Get("dir") == "desc"}
	l.Q = l.Q[:min(len(l.Q), maxQuery)]
	l.Page, _ = strconv.Atoi(q.Get("page"))
	l.Page = min(max(l.Page, 1), 1_000_000)
	if !slices.ContainsFunc(stateFilters, func(o option) bool { return o.Value == l.State }) {
		l.State = ""
	}
	if l.Sort == "" || !slices.ContainsFunc(listColumns, func(c column) bool { return c.Key == l.Sort }) {
		l.Sort, l.Desc = "id", l.Sort == "id" && l.Desc
	}
	return l
}

// link is the address of the list with something changed.
func (l listQuery) link() string {
	v := url.Values{}
	for name, value := range map[string]string{"q": l.Q, "state": l.State} {
		if value != "" {
			v.Set(name, value)
		}
	}
	if l.Sort != "id" || l.Desc {
		v.Set("sort", l.Sort)
	}
	if l.Desc {
		v.Set("dir", "desc")
	}
	if l.Page > 1 {
		v.Set("page", strconv.Itoa(l.Page))
	}
	if len(v) == 0 {
		return "/subscriptions"
	}
	return "/subscriptions?" + v.Encode()
}

// PageLink is the address of another page of the same list.
func (l listQuery) PageLink(page int) string {
	l.Page = page
	return l.link()
}

// Before and After are the numbers of the pages beside this one.
func (l listQuery) Before() int { return l.Page - 1 }
func (l listQuery) After() int  { return l.Page + 1 }

// SortLink is the address of the list sorted by a column; numbers begin with the greatest.
func (l listQuery) SortLink(key string) string {
	if key == l.Sort {
		l.Desc = !l.Desc
	} else {
		l.Sort, l.Desc = key, key != "id"
	}
	l.Page = 1
	return l.link()
}

// AriaSort says how the table is sorted by a column.
func (l listQuery) AriaSort(key string) string {
	switch {
	case key == "" || key != l.Sort:
		return ""
	case l.Desc:
		return "descending"
	}
	return "ascending"
}

// needsCounts reports whether the counts of every subscription are needed to answer it.
func (l listQuery) needsCounts() bool {
	return l.Sort != "id" || l.State != "" && l.State != medispatcher.Paused
}

func (l listQuery) finds(s *medispatcher.Subscription) bool {
	q := strings.ToLower(l.Q)
	return q == "" || strings.Contains(strings.ToLower(s.ID), q) || strings.Contains(strings.ToLower(s.Topic), q)
}

func (l listQuery) wants(c *medispatcher.ChannelStatus) bool {
	switch l.State {
	case "":
		return true
	case filterRetrying:
		return c.Retrying > 0
	case filterDead:
		return c.Dead > 0
	case filterWaiting:
		return c.Ready > 0
	}
	return c.State == l.State
}

func (l listQuery) compare(x, y *medispatcher.ChannelStatus) int {
	by := func(c *medispatcher.ChannelStatus) int64 {
		switch l.Sort {
		case "ready":
			return c.Ready
		case "buried":
			return c.Buried
		case "retrying":
			return c.Retrying
		case "dead":
			return c.Dead
		}
		return c.OldestMS
	}
	order := cmp.Compare(x.ID, y.ID)
	if l.Sort != "id" {
		order = cmp.Or(cmp.Compare(by(x), by(y)), cmp.Compare(y.ID, x.ID))
	}
	if l.Desc {
		return -order
	}
	return order
}

func (p *pages) list(w http.ResponseWriter, r *http.Request) error {
	ctx := r.Context()
	d := listData{listQuery: readListQuery(r.URL.Query()), Filters: stateFilters, Columns: listColumns}
	subs, _, err := p.registry.Subscriptions(ctx)
	if err != nil {
		return err
	}
	d.All = len(subs)
	byID := make(map[string]medispatcher.Subscription, len(subs))
	var found []medispatcher.ChannelStatus
	for i := range subs {
		s := &subs[i]
		c := medispatcher.ChannelStatus{ID: s.ID, State: operate.StateOf(*s)}
		if !d.finds(s) || !d.needsCounts() && !d.wants(&c) {
			continue
		}
		byID[s.ID] = *s
		found = append(found, c)
	}
	if d.needsCounts() {
		st, err := p.state.get(ctx)
		if err != nil {
			return err
		}
		found = found[:0]
		for _, c := range st.Subscriptions {
			if _, passed := byID[c.ID]; passed && d.wants(&c) {
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

	shown := make([]medispatcher.Subscription, len(found))
	ids := make([]string, len(found))
	for i, c := range found {
		shown[i], ids[i] = byID[c.ID], c.ID
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
