package publish

import (
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/solate/medispatcher"
)

// Message is what is published. Topic is required; Body may be empty.
type Message struct {
	Topic   string            // levels [A-Za-z0-9_-]+ joined by dots, 255 bytes at most
	Body    []byte            // any bytes; MaxBody bounds them
	ID      string            // a second message of one id within MEDIS_DEDUPE_WINDOW is not delivered; empty: see Options.NoIDs
	Sender  string            // who publishes; workers get it as medis-sender
	Key     string            // messages of one key are in one partition; empty: the id counts
	Type    string            // content type; empty: application/json
	Headers map[string]string // passed on to the workers: traceparent and the like
	Time    time.Time         // of the event, to the millisecond; zero: now
	Delay   time.Duration     // before it is delivered; to the millisecond, 366 days at most
}

// ErrTooLarge says that a body has more bytes than Options.MaxBody.
var ErrTooLarge = medispatcher.ErrTooLarge

// checked is the message as it is written. The error lists every problem, one a line.
func (p *Publisher) checked(m *Message) (medispatcher.Message, error) {
	out := medispatcher.Message{
		Topic: m.Topic, Body: m.Body, ID: m.ID, Sender: m.Sender, Key: m.Key, Type: m.Type,
		Headers: m.Headers, Time: m.Time, Delay: m.Delay,
	}
	errs := []error{out.Check()}
	for _, name := range slices.Sorted(maps.Keys(m.Headers)) {
		if medispatcher.ReservedHeader(name) {
			errs = append(errs, fmt.Errorf("headers: %q is set by medispatcher or HTTP itself; leave it out", name))
		}
	}
	if n := int64(len(m.Body)); n > p.o.MaxBody {
		errs = append(errs, fmt.Errorf("body: %w: %d bytes, and %d are allowed (MEDIS_MAX_BODY); send a reference to the data", ErrTooLarge, n, p.o.MaxBody))
	}
	if !m.Time.IsZero() && m.Time.UnixMilli() < 0 {
		errs = append(errs, errors.New("time: lies before 1970"))
	}
	if out.ID == "" && !p.o.NoIDs {
		out.ID = rand.Text()
	}
	return out, errors.Join(errs...)
}
