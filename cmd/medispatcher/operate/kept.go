package operate

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/solate/medispatcher"
	rescue "github.com/solate/medispatcher/recover"
)

// Kept is a kept message in JSON. The fields after Bytes are set only where one is shown whole.
type Kept struct {
	ID        string    `json:"id"`
	At        time.Time `json:"at" doc:"Since when it is kept"`
	Topic     string    `json:"topic,omitempty"`
	MessageID string    `json:"message_id,omitempty" doc:"What publishing answered, as far as it is known"`
	Reason    string    `json:"reason,omitempty" doc:"Why it is in the quarantine"`
	Source    string    `json:"source,omitempty" doc:"Of one in the quarantine: the id of its incoming entry, or its recover list"`
	Bytes     int64     `json:"bytes" doc:"Of all its fields and values"`

	Message *rescue.Message `json:"message,omitempty"`
	// What could not be decoded, as in the DATA log.
	Raw       map[string]string `json:"raw,omitempty" doc:"The fields as they came, of one in the quarantine"`
	RawBase64 map[string]string `json:"raw_base64,omitempty" doc:"Fields that are not UTF-8, names and values in base64"`
}

// ListKept is a kept message in JSON, without its body.
func ListKept(k medispatcher.Kept) Kept {
	return Kept{ID: k.ID, At: k.At.UTC(), Topic: k.Message.Topic, MessageID: k.Message.ID, Reason: k.Reason, Source: k.Source, Bytes: k.Bytes}
}

// ShowKept is a kept message in JSON, whole: as a message, or by its raw fields if it is quarantined.
func ShowKept(k medispatcher.Kept) Kept {
	out := ListKept(k)
	if k.Fields == nil {
		out.Message = rescue.MessageOf(&k.Message)
		return out
	}
	var line rescue.Line
	line.SetRaw(k.Fields)
	out.Raw, out.RawBase64 = line.Raw, line.RawBase64
	return out
}

// Discreet is a kept message for those who may not see bodies, without the values that no message can have: a producer may have put a
// body there.
func Discreet(k medispatcher.Kept) medispatcher.Kept {
	m := &k.Message
	if wrong, ok := errors.AsType[medispatcher.Problems](m.Check()); ok {
		for _, p := range wrong {
			if value := map[string]*string{"topic": &m.Topic, "id": &m.ID, "sender": &m.Sender, "key": &m.Key, "type": &m.Type}[p.Field]; value != nil {
				*value = ""
			}
		}
	}
	return k
}

// WithoutBody is the kept message for those who may not see bodies and credentials. Of an entry that could not be decoded nobody knows which
// field is the body, so they see none of them.
func (k Kept) WithoutBody() Kept {
	k.Message, k.Raw, k.RawBase64 = withoutBody(k.Message), nil, nil
	return k
}

// Unwanted says that no subscription wants a topic now, and which topic was probably meant; "" when one does.
func Unwanted(r *medispatcher.Router, topic string) string {
	if len(r.Route(topic)) > 0 {
		return ""
	}
	return "no subscription wants the topic " + topic + " now" + DidYouMean(r, topic)
}

// DidYouMean is "; did you mean order.created?", or "" when no topic is near.
func DidYouMean(r *medispatcher.Router, topic string) string {
	if near := r.Nearest(topic); near != "" {
		return "; did you mean " + near + "?"
	}
	return ""
}

// topicsNamed is how many topics a line names.
const topicsNamed = 5

// NameTopics lists the most frequent topics with their counts, and which topics were probably meant.
func NameTopics(r *medispatcher.Router, topics []medispatcher.TopicCount) string {
	var names []string
	for _, t := range topics[:min(len(topics), topicsNamed)] {
		about := fmt.Sprint(t.Count)
		if near := r.Nearest(t.Topic); near != "" {
			about += ", did you mean " + near + "?"
		}
		names = append(names, fmt.Sprintf("%s (%s)", t.Topic, about))
	}
	if more := len(topics) - len(names); more > 0 {
		names = append(names, fmt.Sprintf("and %d more", more))
	}
	return strings.Join(names, ", ")
}
