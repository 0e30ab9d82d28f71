package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"

	"github.com/solate/medispatcher/cmd/medispatcher/cloudevents"
)

// batched is a message of a batch, as a worker reads it.
type batched struct {
	ID         string          `json:"id"`
	Topic      string          `json:"topic"`
	Attempt    int             `json:"attempt"`
	Body       json.RawMessage `json:"body"`
	BodyBase64 []byte          `json:"body_base64"`

	// Of a CloudEvent instead.
	Source     string          `json:"source"`
	Type       string          `json:"type"`
	Data       json.RawMessage `json:"data"`
	DataBase64 []byte          `json:"data_base64"`

	failed bool
}

// receivedBatch is the messages of a push; nil: it is no batch, or not readable.
type receivedBatch []*batched

func batchOf(req *http.Request, body []byte) (b receivedBatch) {
	if req.Header.Get("medis-batch") == "" {
		return nil
	}
	contentType := req.Header.Get("Content-Type")
	events := contentType == cloudevents.Batched
	if events || strings.HasPrefix(contentType, "application/json") {
		if json.Unmarshal(body, &b) != nil {
			return nil
		}
		for _, m := range b {
			if events && m != nil {
				m.Topic, m.Body, m.BodyBase64 = m.Type, m.Data, m.DataBase64
			}
		}
		return b
	}
	lines := json.NewDecoder(bytes.NewReader(body))
	for {
		m := &batched{}
		switch err := lines.Decode(m); {
		case errors.Is(err, io.EOF):
			return b
		case err != nil:
			return nil
		}
		b = append(b, m)
	}
}

// fail has so many percent of the messages fail, and returns their number.
func (b receivedBatch) fail(percent int) (failed int) {
	for _, m := range b {
		if m.failed = rand.IntN(100) < percent; m.failed { //nolint:gosec // a sample
			failed++
		}
	}
	return failed
}

// answer lists the messages that failed, so that they alone are pushed again.
func (b receivedBatch) answer() string {
	type entry struct {
		ID     string `json:"id"`
		Source string `json:"source,omitempty"`
		Error  string `json:"error"`
	}
	failed := []entry{}
	for _, m := range b {
		if m.failed {
			failed = append(failed, entry{m.ID, m.Source, "this failure was asked for: receive --fail"})
		}
	}
	text, err := json.Marshal(map[string]any{"failed": failed})
	if err != nil {
		panic(err) // strings only
	}
	return string(text)
}

// shown is the batch as it is printed, a message a line; body if there is no batch.
func (b receivedBatch) shown(body []byte) []byte {
	if b == nil {
		return body
	}
	var text bytes.Buffer
	for _, m := range b {
		failed := ""
		if m.failed {
			failed = " failed,"
		}
		about := fmt.Sprintf("attempt %d", m.Attempt)
		if m.Source != "" {
			about = "from " + m.Source
		}
		fmt.Fprintf(&text, "%s%s %s, id %s: ", m.Topic, failed, about, m.ID)
		if m.BodyBase64 != nil {
			fmt.Fprintf(&text, "%d bytes\n", len(m.BodyBase64))
			continue
		}
		text.Write(append(m.Body, '\n'))
	}
	return text.Bytes()
}
