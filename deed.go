package medispatcher

import (
	"slices"
	"strings"
	"time"
)

// Deed is one entry of the audit trail: who did what, and when. Changes of subscriptions come from their history.
type Deed struct {
	ID           string                 `json:"id"` // grows with time
	Time         time.Time              `json:"time"`
	By           string                 `json:"by"`             // "cli ann@host", "api ann", "panel ann", "dispatcher host-1-4711"
	From         string                 `json:"from,omitempty"` // the address that a request came from
	What         string                 `json:"what"`           // replay-dead-letters, change-subscription, sign-in …
	Subscription string                 `json:"subscription,omitempty"`
	IDs          []string               `json:"ids,omitempty"`    // of the messages that were named, the first ten
	Named        int                    `json:"named,omitempty"`  // how many messages were named; 0: all, or none
	Counts       map[string]int64       `json:"counts,omitempty"` // what came of it: replayed, purged, missing …
	Error        string                 `json:"error,omitempty"`  // why it was not done, or not all of it
	Fields       map[string]FieldChange `json:"fields,omitempty"` // of a changed subscription
}

// What somebody did, where it is no operation of the API.
const (
	DeedSignIn    = "sign-in"
	DeedSignOut   = "sign-out"
	DeedRecover   = "recover-files"
	DeedForget    = "forget-partitions"
	DeedCreateSub = "create-subscription"
	DeedChangeSub = "change-subscription"
	DeedRemoveSub = "remove-subscription"
)

const (
	deedIDs  = 10  // kept of those named
	deedText = 300 // bytes kept of each text
)

// Name notes which messages were named.
func (d *Deed) Name(ids []string) {
	d.Named, d.IDs = len(ids), slices.Clone(ids[:min(len(ids), deedIDs)])
}

// Bounded is the deed with its texts cut, so that the audit trail stays small.
func (d Deed) Bounded() Deed {
	for _, text := range []*string{&d.By, &d.From, &d.What, &d.Subscription, &d.Error} {
		*text = bounded(*text)
	}
	ids := make([]string, len(d.IDs))
	for i, id := range d.IDs {
		ids[i] = bounded(id)
	}
	d.IDs = ids
	return d
}

func bounded(text string) string {
	if len(text) > deedText {
		return strings.ToValidUTF8(text[:deedText], "") + "…"
	}
	return text
}

// DeedOf is a change of a subscription as an entry of the audit trail.
func DeedOf(c Change) Deed {
	what := map[ChangeKind]string{Created: DeedCreateSub, Changed: DeedChangeSub, Removed: DeedRemoveSub}[c.What]
	return Deed{ID: c.ID, Time: c.Time, By: c.By, What: what, Subscription: c.Subscription, Fields: c.Fields}
}
