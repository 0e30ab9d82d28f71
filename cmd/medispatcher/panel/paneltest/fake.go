// Package paneltest is what the tests of the panel, its API and its pages share: a registry and a store that fail when they
// are told to, and requests to the whole handler.
package paneltest

import (
	"context"
	"fmt"

	"github.com/solate/medispatcher"
)

// Fake is a registry and a store. Err, when set, is what the step named by Broken fails with.
type Fake struct {
	Docs   map[string]string
	Counts medispatcher.ChannelStatus
	Broken string
	Err    error

	Arriving   int64 // messages that arrive while a subscription is being removed
	Letters    []medispatcher.DeadLetter
	Kept       map[medispatcher.KeptPlace][]medispatcher.Kept // the oldest first
	Refused    string                                         // id of a kept message that cannot be replayed
	Failed     []medispatcher.Failing
	Ended      []medispatcher.Attempt // the latest first
	ManyTopics bool                   // there are more than are listed
	Held       []medispatcher.Breaker // by dispatcher "a"
	NoArchive  bool

	Firing     medispatcher.Alerts
	AlertsTell medispatcher.AlertRules

	Noted     []medispatcher.Deed // in the audit trail, in order
	SignedOut map[string]bool     // sessions
	Steps     []string            // that changed something, in order
	Published []medispatcher.Message
}

// New makes a fake with subscriptions of these ids.
func New(ids ...string) *Fake {
	f := &Fake{Docs: map[string]string{}}
	for _, id := range ids {
		f.Docs[id] = fmt.Sprintf(`{"id":%q,"topic":"order.*","urls":["http://user:pw@h/"],"secret":"whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz"}`, id)
	}
	return f
}

func (f *Fake) Alerts(context.Context) (medispatcher.Alerts, error) {
	return f.Firing, f.fails("alerts")
}

func (f *Fake) AlertRules() medispatcher.AlertRules { return f.AlertsTell }

func (f *Fake) TestAlert(context.Context, string) ([]medispatcher.Receipt, error) {
	return []medispatcher.Receipt{{Receiver: "slack://h", Sent: true}}, f.fails("test alert")
}

func (f *Fake) fails(step string) error {
	if f.Broken == step {
		return f.Err
	}
	return nil
}
