package medispatcher

import (
	"cmp"
	"time"
)

// DeadLetter is a message whose attempts are exhausted. It is kept whole.
type DeadLetter struct {
	ID      string // "<partition>-<entry id>", for showing, replaying and purging
	Died    time.Time
	Message Message
	Failure *Failure
}

// KeptPlace names one of the two places of messages that reached no channel.
type KeptPlace string

// The places of kept messages.
const (
	PlaceUnrouted   KeptPlace = "unrouted"   // no subscription wanted the topic
	PlaceQuarantine KeptPlace = "quarantine" // the entry could not be decoded, or a channel could not take its copy
)

// KeptPlaces are all places of kept messages.
var KeptPlaces = []KeptPlace{PlaceQuarantine, PlaceUnrouted}

// Kept is a message that is kept because it reached no channel.
type Kept struct {
	ID     string // "<partition>-<entry id>", for showing, replaying and purging
	At     time.Time
	Reason string // why it was quarantined
	Source string // of a quarantined message: the id of its incoming entry, or its recover list
	// Message has what could be decoded; in a list it has no body.
	Message Message
	Bytes   int64             // of all fields and values
	Fields  map[string]string // as they are in Redis; only where one quarantined message is shown
}

// Body is the body of a kept message; of an item of a recover list that could not be decoded, the item.
func (k *Kept) Body() (body []byte, there bool) {
	if k.Fields == nil {
		return k.Message.Body, true
	}
	for _, name := range []string{"body", "raw"} {
		if value, ok := k.Fields[name]; ok {
			return []byte(value), true
		}
	}
	return nil, false
}

// KeptQuery asks for a page of kept messages.
type KeptQuery struct {
	After  string // the ID of the last one seen; empty: from the beginning
	Newest bool   // newest first; else oldest first
	Limit  int
}

// DeadPage is a part of the dead letters of a subscription.
type DeadPage struct {
	Letters []DeadLetter
	Searched
}

// KeptPage is a part of the kept messages.
type KeptPage struct {
	Messages []Kept
	Searched
}

// KeptDone is the result of a replay of kept messages.
type KeptDone struct {
	Replayed int64
	Unwanted int64         // of Replayed: still no subscription wants them, so they come back
	Missing  int64         // of those asked for: no longer there
	Left     int64         // not reached in time
	Next     string        // of a replay of those that match: go on with this as Search.After; empty: it is complete
	Refused  int64         // still kept, because they would come back at once
	Refusals []KeptRefusal // the first of Refused, maxRefusals at most
}

// maxRefusals bounds the list of refusals.
const maxRefusals = 20

// KeptRefusal says why a message was not replayed, and what to do.
type KeptRefusal struct {
	ID      string `json:"id"`
	Problem string `json:"problem"`
}

// Refuse notes a message that was not replayed.
func (d *KeptDone) Refuse(id, problem string) {
	d.Refused++
	if len(d.Refusals) < maxRefusals {
		d.Refusals = append(d.Refusals, KeptRefusal{id, problem})
	}
}

// TopicCount is how many messages have a topic.
type TopicCount struct {
	Topic string
	Count int64
}

// Compare puts the most frequent topic first.
func (t TopicCount) Compare(other TopicCount) int {
	return cmp.Or(cmp.Compare(other.Count, t.Count), cmp.Compare(t.Topic, other.Topic))
}
