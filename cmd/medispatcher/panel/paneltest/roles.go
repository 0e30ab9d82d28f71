package paneltest

import (
	"time"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/cmd/internal/access"
)

// Body is in every message of Full, also as a credential in its headers, and Secret in its subscription.
const (
	Body   = "hush-this-is-a-body"
	Secret = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz"
)

// Full is a fake with a subscription, and a message in every place.
func Full() *Fake {
	f := New("billing")
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	m := medispatcher.Message{ID: "m-1", Topic: "order.created", Body: []byte(Body), Type: medispatcher.DefaultType, Time: at, Headers: map[string]string{"authorization": "Bearer " + Body, "traceparent": "00-1"}}
	f.Letters = []medispatcher.DeadLetter{{ID: "0-1-1", Died: at, Message: m}}
	f.Kept = map[medispatcher.KeptPlace][]medispatcher.Kept{
		medispatcher.PlaceUnrouted: {{ID: "0-1-1", At: at, Message: m}},
		medispatcher.PlaceQuarantine: {{
			ID: "0-1-1", At: at, Reason: "DECODERR topic: level 1 may hold only A-Z", Fields: map[string]string{"bdoy": Body, "raw": Body, "\xff": Body},
			Message: medispatcher.Message{Topic: `{"` + Body + `"}`, ID: Body + "\n", Sender: Body + "\n", Key: Body + "\n", Type: Body + "\n"}, // a body in the wrong place
		}},
	}
	f.Counts.Dead = 1
	return f
}

// Tokens are one for each role, all with the name of their role.
func Tokens() []access.Token {
	var tokens []access.Token
	for _, role := range access.Roles {
		tokens = append(tokens, access.Token{Name: string(role), Role: role, Secret: "the-token-of-" + string(role)})
	}
	return tokens
}
