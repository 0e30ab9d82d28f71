package web

import (
	"net/http"
	"strings"
	"time"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/cmd/medispatcher/operate"
)

const (
	// hitsShown bounds what a search shows of each kind.
	hitsShown = 10
	// messagesFor bounds how long a search looks at the messages of one place, in all places together no more than placesFor.
	messagesFor, placesFor = 60 * time.Millisecond, 180 * time.Millisecond
)

// hits is what a search found in one place where messages wait for an operator.
type hits struct {
	Title, Link string // of the place; the link shows all that match
	Rows        []hit
	Complete    bool // all messages were looked at
	More        bool // there are more that match, or may be
}

type hit struct {
	ID, Topic, Link string
	At              time.Time
	Why             string
}

type searchData struct {
	Q             string
	Subscriptions []*medispatcher.Subscription
	MoreSubs      int
	Topics        []string
	MoreTopics    int
	Topic         bool // Q is one, whether messages of it came or not
	Places        []hits
	Unsearched    []hits // there was no time for these
	Wrong         string // with Q
}

// search looks for a text everywhere. A message is found by its id alone only through its own page, which this one asks for:
// that may take long.
func (p *pages) search(w http.ResponseWriter, r *http.Request) error {
	d := searchData{Q: strings.TrimSpace(r.URL.Query().Get("q"))}
	if d.Q == "" {
		return p.show(w, r, http.StatusOK, "search", "Search", d)
	}
	match, err := medispatcher.ParseMatch(d.Q)
	if err != nil {
		d.Wrong = err.Error()
		return p.show(w, r, http.StatusOK, "search", "Search", d)
	}
	ctx := r.Context()
	subs, _, err := p.registry.Subscriptions(ctx)
	if err != nil {
		return err
	}
	list := listQuery{Q: d.Q}
	for s := range subs.All() {
		switch {
		case !list.finds(s):
		case len(d.Subscriptions) < hitsShown:
			d.Subscriptions = append(d.Subscriptions, s)
		default:
			d.MoreSubs++
		}
	}
	topics, err := p.topics.get(ctx)
	if err != nil {
		return err
	}
	for _, t := range topics.Names {
		switch {
		case !strings.Contains(strings.ToLower(t), strings.ToLower(d.Q)):
		case len(d.Topics) < hitsShown:
			d.Topics = append(d.Topics, t)
		default:
			d.MoreTopics++
		}
	}
	d.Topic = medispatcher.CheckTopic(d.Q) == nil
	if !operates(r) {
		match = match.WithoutBodies()
	}
	if err := p.searchPlaces(r, &d, match); err != nil {
		return err
	}
	return p.show(w, r, http.StatusOK, "search", "Search: "+shortText(d.Q), d)
}

// searchPlaces looks at unrouted messages, at the quarantine and at dead letters, as far as the time allows.
func (p *pages) searchPlaces(r *http.Request, d *searchData, match medispatcher.Match) error {
	ctx, began := r.Context(), time.Now()
	q := medispatcher.Search{Match: match, Newest: true}
	for _, place := range medispatcher.KeptPlaces {
		page, err := p.kept.SearchKept(ctx, place, q, hitsShown, within(messagesFor))
		if err != nil {
			return err
		}
		h := hitsOf(keptMessages(r, place), d.Q, page.Searched)
		for _, k := range page.Messages {
			if !operates(r) {
				k = operate.Discreet(k)
			}
			h.Rows = append(h.Rows, hit{k.Message.ID, k.Message.Topic, keptLink(place) + "/" + k.ID, k.At, k.Reason})
		}
		d.note(h)
	}
	st, err := p.state.get(ctx)
	if err != nil {
		return err
	}
	for _, c := range st.Subscriptions {
		if c.Dead == 0 {
			continue
		}
		h := hitsOf(deadLetters(r, c.ID), d.Q, medispatcher.Searched{Next: "unsearched"})
		if time.Since(began) > placesFor {
			if len(d.Unsearched) < hitsShown {
				d.Unsearched = append(d.Unsearched, h)
			}
			continue
		}
		page, err := p.store.SearchDead(ctx, c.ID, q, hitsShown, within(messagesFor))
		if err != nil {
			return err
		}
		h = hitsOf(deadLetters(r, c.ID), d.Q, page.Searched)
		for i := range page.Letters {
			l := rowOf(&page.Letters[i])
			h.Rows = append(h.Rows, hit{l.Message, l.Topic, deadLink(c.ID) + "/" + l.ID, l.Died, l.LastError})
		}
		d.note(h)
	}
	return nil
}

func hitsOf(p place, q string, done medispatcher.Searched) hits {
	s := searching{Q: q}
	return hits{Title: p.Title, Link: p.Link + "?" + s.query().Encode(), Complete: done.Next == "", More: done.Next != ""}
}

// note adds the hits of a place, if there are any or may be.
func (d *searchData) note(h hits) {
	switch {
	case len(h.Rows) > 0:
		d.Places = append(d.Places, h)
	case !h.Complete && len(d.Unsearched) < hitsShown:
		d.Unsearched = append(d.Unsearched, h)
	}
}
