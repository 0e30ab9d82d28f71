package medispatcher

import (
	"bytes"
	"fmt"
	"strings"
)

// maxMatch is the longest text of a Match, in bytes.
const maxMatch = 256

// Match says which undelivered messages an operator asks for: those that hold a text, in upper or lower case. The zero
// value matches all.
type Match struct {
	lower string
	heads bool // bodies are not looked at
}

// WithoutBodies does not look at bodies.
func (m Match) WithoutBodies() Match {
	m.heads = true
	return m
}

// ParseMatch checks a text. A blank one is refused: whoever asks for the messages that hold nothing means
// something else than all of them.
func ParseMatch(text string) (Match, error) {
	text = strings.TrimSpace(text)
	switch {
	case text == "":
		return Match{}, fmt.Errorf("is empty; give a text, or leave it out to mean all of them")
	case len(text) > maxMatch:
		return Match{}, fmt.Errorf("is %d bytes long; the limit is %d", len(text), maxMatch)
	}
	return Match{lower: strings.ToLower(text)}, nil
}

// All reports whether it matches everything.
func (m Match) All() bool { return m.lower == "" }

// Letter looks at the ids, the topic, the key, the sender and the body of a dead letter, and at the last answer and
// its target.
func (m Match) Letter(l *DeadLetter) bool {
	if m.All() || m.message(&l.Message, l.ID) {
		return true
	}
	if l.Failure != nil && m.any(l.Failure.LastError, l.Failure.Target) {
		return true
	}
	return !m.heads && bytes.Contains(bytes.ToLower(l.Message.Body), []byte(m.lower))
}

// Kept looks at the ids, the topic, the key and the sender of a kept message, and at why it is kept. Lists of kept messages
// have no bodies.
func (m Match) Kept(k *Kept) bool {
	return m.All() || m.message(&k.Message, k.ID) || m.any(k.Reason, k.Source)
}

func (m Match) message(msg *Message, id string) bool {
	return m.any(id, msg.ID, msg.Topic, msg.Key, msg.Sender)
}

func (m Match) any(texts ...string) bool {
	for _, text := range texts {
		if strings.Contains(strings.ToLower(text), m.lower) {
			return true
		}
	}
	return false
}

// Search is which undelivered messages to look at.
type Search struct {
	Match  Match
	After  string // the id of the last one seen; empty: from the beginning
	Until  string // none that came after the one with this id; empty: all
	Newest bool   // newest first; else oldest first
}

// Searched is how far a search came.
type Searched struct {
	Looked int64  // how many messages it looked at
	Next   string // go on with this as After; empty: it is complete
}

// MatchCount is how many messages match.
type MatchCount struct {
	Matching int64
	Until    string // the newest one that was there when the count began; empty: none was
	Searched
}

// MatchDone is what became of the messages that match.
type MatchDone struct {
	Done int64
	Searched
}
