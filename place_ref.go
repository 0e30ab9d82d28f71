package medispatcher

import (
	"encoding/base64"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// inChannel is what a Ref says of a copy that is READY or BURIED: it goes from one to the other by itself.
const inChannel = "channel"

// inLine is what a Ref says of a copy that waits behind another of its key. Its entry is <number>:<key>, in base64.
const inLine = "waiting"

var lineEntry = base64.RawURLEncoding.Strict()

// InLine reports whether a copy waits behind another of its key.
func (p Place) InLine() bool { return p.State == Ready && strings.Contains(p.Entry, ":") }

// Ref names a place, so that what is there can be read without a search: channel/billing/0-1767225600003-0,
// unrouted/0-1767225600000-0.
func (p Place) Ref() string {
	parts, entry := []string{strings.ToLower(string(p.State))}, p.Entry
	switch {
	case p.InLine():
		parts[0], entry = inLine, lineEntry.EncodeToString([]byte(entry))
	case p.State == Ready || p.State == Buried:
		parts[0] = inChannel
	}
	if p.Subscription != "" {
		parts = append(parts, p.Subscription)
	}
	return strings.Join(append(parts, strconv.Itoa(p.Partition)+"-"+entry), "/")
}

// ParseRef reads a Ref. The error is a FieldError of the field at.
func ParseRef(ref string) (p Place, err error) {
	wrong := FieldError{"at", fmt.Sprintf("%s is not a place that GET /api/v1/messages/ID lists, such as dead/billing/0-1767225600003-0", quote(ref))}
	parts := strings.Split(ref, "/")
	p.State = State(strings.ToUpper(parts[0]))
	waits := parts[0] == inLine
	ofSubscription := parts[0] == inChannel || waits || p.State == Dead
	switch {
	case parts[0] == inChannel || waits:
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
	if p.Partition, err = strconv.Atoi(number); err != nil || p.Partition < 0 {
		return p, wrong
	}
	if waits {
		plain, _ := lineEntry.DecodeString(entry)
		entry = string(plain)
	}
	if !isEntry(entry, waits) {
		return p, wrong
	}
	p.Entry = entry
	return p, nil
}

// isEntry reports whether text is <ms>-<number>, or <number>:<key> where that is in a line.
func isEntry(text string, inLine bool) bool {
	between := "-"
	if inLine {
		between = ":"
	}
	first, second, _ := strings.Cut(text, between)
	_, err := strconv.ParseUint(first, 10, 64)
	if err == nil && !inLine {
		_, err = strconv.ParseUint(second, 10, 64)
	}
	return err == nil && second != ""
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
