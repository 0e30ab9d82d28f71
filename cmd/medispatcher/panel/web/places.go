package web

import (
	"net/http"
	"net/url"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/cmd/internal/access"
	"github.com/solate/medispatcher/cmd/medispatcher/panel/auth"
)

// place is one of the three in which messages wait for an operator: the dead letters of a subscription, the unrouted
// messages and the quarantine. The buttons of places.html replay or purge what waits there.
type place struct {
	Title  string // of its list
	Link   string // of its list; the API has the same path
	What   string // one of them: dead letter
	Of     string // of billing; empty when they belong to no subscription
	Word   string // what the operator types to purge all of them: the subscription, or the place as commands name it
	Replay string // what a replay does, for the question before it
	Count  int64  // how many wait there; unset on the page of one
	One    string // the id of the one that the page shows
	Open   bool   // the visitor may replay and purge
}

// API is the path of the place in the API.
func (p place) API() string { return "/api/v1" + p.Link }

func deadLetters(r *http.Request, sub string) place {
	return place{
		Open:  operates(r),
		Title: "Dead letters of " + sub, Link: deadLink(sub), What: "dead letter", Of: "of " + sub, Word: sub,
		Replay: "Delivery starts again at attempt 1, with the same webhook-id. The failure record is cleared.",
	}
}

func keptMessages(r *http.Request, at medispatcher.KeptPlace) place {
	p := place{
		Open:  operates(r),
		Title: "Unrouted messages", Link: keptLink(at), What: "unrouted message", Word: string(at),
		Replay: "Messages go to the subscriptions that want them now. What no subscription wants comes back here.",
	}
	if at == medispatcher.PlaceQuarantine {
		p.Title, p.What = "Quarantine", "quarantined message"
		p.Replay = "Each is decoded and routed again. What still cannot be decoded, or is still too large, stays here."
	}
	return p
}

// operates reports whether the visitor may change messages and see their bodies.
func operates(r *http.Request) bool { return auth.From(r.Context()).May(access.Operator) }

// paging links the pages of a list. A page starts after the id that ended the one before.
type paging struct {
	First string // empty on the first page
	Next  string // empty on the last page
	// NextText is what the link to the next page says.
	NextText string
}

// pagingOf makes the links of a page that query asked for. next is the id of its last row, or empty on the last page.
func pagingOf(list string, query url.Values, next string) (p paging) {
	p.NextText = "Next"
	if query.Get("after") != "" {
		query.Del("after")
		p.First = list
		if len(query) > 0 {
			p.First += "?" + query.Encode()
		}
	}
	if next != "" {
		query.Set("after", next)
		p.Next = list + "?" + query.Encode()
	}
	return p
}
