package web

import (
	"cmp"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/cmd/medispatcher/operate"
)

// Filters beside the states of medispatcher.ChannelStatus.
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

// listQuery is which part of the list a request asks for.
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

// link is the address of this part of the list.
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

// SortLink is the address of the list sorted by a column; numbers start with the greatest.
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

// needsCounts reports whether answering it takes the counts of every subscription.
func (l listQuery) needsCounts() bool {
	return l.Sort != "id" || l.State != "" && l.State != medispatcher.Paused
}

func (l listQuery) finds(s *medispatcher.Subscription) bool {
	return operate.Holds(s, l.Q)
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
