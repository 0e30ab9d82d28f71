package web

import (
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/solate/medispatcher"
)

// searching is which part of a place's list a request asks for, and how far its search came.
type searching struct {
	paging
	Q, After string
	Oldest   bool   // first; else the newest
	Order    string // link to the other order
	Rest     string // of the query, for the links
	Looked   int64
	Full     bool // the page is full; else a search ran out of time
}

func readSearching(q url.Values) searching {
	s := searching{Q: strings.TrimSpace(q.Get("q")), After: q.Get("after"), Oldest: q.Get("order") == "oldest"}
	s.Q = s.Q[:min(len(s.Q), maxQuery)]
	return s
}

// search is what the store is asked. It leaves bodies out for a visitor who sees none: what is found would tell of them.
func (s *searching) search(r *http.Request) (q medispatcher.Search, err error) {
	q.After, q.Newest = s.After, !s.Oldest
	if s.Q != "" {
		q.Match, err = medispatcher.ParseMatch(s.Q)
	}
	if !operates(r) {
		q.Match = q.Match.WithoutBodies()
	}
	return q, err
}

func (s *searching) query() url.Values {
	v := url.Values{}
	if s.Q != "" {
		v.Set("q", s.Q)
	}
	if s.Oldest {
		v.Set("order", "oldest")
	}
	return v
}

// found makes the links of the page.
func (s *searching) found(list string, rows int, done medispatcher.Searched) {
	s.Looked, s.Full = done.Looked, rows >= lettersPage
	v := s.query()
	if s.After != "" {
		v.Set("after", s.After)
	}
	s.paging = pagingOf(list, v, done.Next)
	if s.Q != "" && !s.Full {
		s.NextText = "Search on"
	}
	other := searching{Q: s.Q, Oldest: !s.Oldest}
	s.Order = list + "?" + other.query().Encode()
}

// within says yes for a while.
func within(d time.Duration) func(int64) bool {
	until := time.Now().Add(d)
	return func(int64) bool { return time.Now().Before(until) }
}
