package medispatcher

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// inChannel is what a Ref says of a copy that is READY or BURIED: it goes from one to the other by itself.
const inChannel = "channel"

// Ref names a place, so that what is there can be read without a search: channel/billing/0-1767225600003-0,
// unrouted/0-1767225600000-0.
func (p Place) Ref() string {
	parts := []string{strings.ToLower(string(p.State))}
	if p.State == Ready || p.State == Buried {
		parts[0] = inChannel
	}
	if p.Subscription != "" {
		parts = append(parts, p.Subscription)
	}
	return strings.Join(append(parts, strconv.Itoa(p.Partition)+"-"+p.Entry), "/")
}

// ParseRef reads a Ref. The error is a FieldError of the field at.
func ParseRef(ref string) (p Place, err error) {
	wrong := FieldError{"at", fmt.Sprintf("%s is not a place that GET /api/v1/messages/ID lists, such as dead/billing/0-1767225600003-0", quote(ref))}
	parts := strings.Split(ref, "/")
	p.State = State(strings.ToUpper(parts[0]))
	ofSubscription := parts[0] == inChannel || p.State == Dead
	switch {
	case parts[0] == inChannel:
		p.State = Ready
	case p.State != Dead && !slices.Contains(refStates, p.State):
		return p, wrong
	}
	if ofSubscription && len(parts) != 3 || !ofSubscription && len(parts) != 2 {
		return p, wrong
	}
	if ofSubscription {
		if p.Subscription = parts[1]; CheckSubscriptionID(p.Subscription) != nil {
			return p, wrong
		}
	}
	number, entry, _ := strings.Cut(parts[len(parts)-1], "-")
	ms, seq, _ := strings.Cut(entry, "-")
	_, errMS := strconv.ParseUint(ms, 10, 64)
	_, errSeq := strconv.ParseUint(seq, 10, 64)
	if p.Partition, err = strconv.Atoi(number); err != nil || p.Partition < 0 || errMS != nil || errSeq != nil {
		return p, wrong
	}
	p.Entry = entry
	return p, nil
}

// refStates are the states of a message that belongs to no subscription.
var refStates = []State{Incoming, Delayed, Unrouted, Quarantined, Archived}

// Found is a message as it is at a place.
type Found struct {
	Place   Place
	Message Message
}

// Delivery is the next attempt at what was found, or the last one of a dead letter.
func (f *Found) Delivery() *Delivery {
	attempt := max(1, f.Place.Attempt)
	if f.Place.Failure != nil {
		attempt = max(attempt, f.Place.Failure.Attempts)
	}
	return &Delivery{Channel: Channel{f.Place.Partition, f.Place.Subscription}, EntryID: f.Place.Entry, Attempt: attempt, Message: f.Message}
}
