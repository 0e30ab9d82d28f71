package operate

import (
	"time"

	"github.com/solate/medispatcher"
	rescue "github.com/solate/medispatcher/recover"
)

// Letter is a dead letter in JSON. Its message has the form of the DATA log: the body is a string,
// or base64 when it is not UTF-8.
type Letter struct {
	ID      string                `json:"id"`
	Died    time.Time             `json:"died"`
	Message *rescue.Message       `json:"message"`
	Failure *medispatcher.Failure `json:"failure,omitempty"`
}

// WithoutBody is the letter for those who may not see bodies and credentials.
func (l Letter) WithoutBody() Letter {
	l.Message = withoutBody(l.Message)
	return l
}

func withoutBody(m *rescue.Message) *rescue.Message {
	if m == nil {
		return nil
	}
	bare := *m
	bare.Body, bare.BodyBase64, bare.Headers = nil, nil, medispatcher.MaskHeaders(m.Headers)
	return &bare
}

// Show is a dead letter in JSON.
func Show(l medispatcher.DeadLetter) Letter {
	return Letter{l.ID, l.Died.UTC(), rescue.MessageOf(&l.Message), l.Failure}
}
