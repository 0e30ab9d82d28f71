package operate

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	"github.com/solate/medispatcher"
)

// TrialTopic is a topic that a subscription wants: its own, with "test" for * and >.
func TrialTopic(sub *medispatcher.Subscription) string {
	return strings.NewReplacer("*", "test", ">", "test").Replace(sub.Topic)
}

// TrialBody is the body of a message to try a subscription with, unless somebody gives another.
const TrialBody = `{"test":true}`

// TrialMessage makes a message to try a subscription with out of what somebody gave of it. Without a topic it has TrialTopic, without a
// body TrialBody. The error is medispatcher.Problems.
func TrialMessage(sub *medispatcher.Subscription, m medispatcher.Message) (medispatcher.Message, error) {
	var random [8]byte
	_, _ = rand.Read(random[:]) // it never fails
	m.ID, m.Time, m.Delay = "test-"+hex.EncodeToString(random[:]), time.Now(), 0
	if m.Topic == "" {
		m.Topic = TrialTopic(sub)
	}
	if m.Type == "" {
		m.Type = medispatcher.DefaultType
	}
	if m.Sender == "" {
		m.Sender = "medispatcher"
	}
	if len(m.Body) == 0 {
		m.Body = []byte(TrialBody)
	}
	if err := m.Check(); err != nil {
		return m, err
	}
	if !sub.Wants(m.Topic) {
		return m, medispatcher.Problems{{Field: "topic", Problem: fmt.Sprintf("the subscription does not want %s, but %s", m.Topic, sub.Topic)}}
	}
	return m, nil
}

// Filtered reports whether a subscription's filter would keep a message from it. A filter that fails lets it through.
func Filtered(rules medispatcher.Rules, sub *medispatcher.Subscription, m *medispatcher.Message) bool {
	tried, err := TryFilter(rules, sub.Filter, m)
	return err == nil && !tried.Matches
}
