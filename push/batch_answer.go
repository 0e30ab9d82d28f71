package push

import (
	"bytes"
	"encoding/json"
	"strings"
	"unicode/utf8"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/push/http1"
)

// entryAnswer is how many bytes the answer to a batch may have for each message, beside maxAnswer.
const entryAnswer = 2 << 10

// batchAnswer is how many bytes the answer to a batch may have.
func batchAnswer(messages int) int { return maxAnswer + messages*entryAnswer }

// judgeBatch notes what the subscriber says of a batch, and of single messages in it. err tells that its answer is incomplete.
// It returns an id that the answer lists and the batch has not, "" where there is none.
//
// With 2xx the whole answer counts, since it may list messages that failed. Where it may be such a list and cannot be read, no
// message counts as accepted: one of them might be lost.
func (r *result) judgeBatch(b *batch, a *http1.Answer, err error) (unknown string) {
	r.status = a.Status
	if a.Status < 200 || a.Status > 299 || err != nil {
		r.refused(a)
		return ""
	}
	failed, readable := listedFailed(a.Body, batchAnswer(r.batch), b.settings.events())
	if !readable || len(failed) == 0 && coded(a) {
		r.refused(a)
		r.says = "its list of failed messages cannot be read"
		return ""
	}
	r.accepted, r.answer = true, a.Body[:min(len(a.Body), keptAnswer)]
	if len(failed) == 0 {
		return ""
	}
	seen := make(map[string]bool, len(failed))
	for _, j := range b.jobs {
		id := b.settings.listedAs(&j.Message, failed)
		why, listed := failed[id]
		if !listed || j.own != nil {
			continue
		}
		seen[id] = true
		own := *r
		own.accepted, own.answer, own.says = false, nil, "the worker lists this message as failed"
		if why != "" {
			own.says += ": " + why
		}
		j.own = &own
	}
	for id := range failed {
		if !seen[id] {
			return id
		}
	}
	return ""
}

// listedAs is how the worker names a message in its list, if it does: by what webhook-id is for a single one, or an event by its
// own id, with its source or without.
func (s *settings) listedAs(m *medispatcher.Message, failed map[string]string) string {
	if !s.events() {
		return m.WebhookID()
	}
	e := m.CloudEvent()
	id := withinSource(e.Source, e.ID)
	if _, listed := failed[id]; !listed {
		return e.ID
	}
	return id
}

// withinSource is the id of an event with the source that it is unique in. A source has no spaces.
func withinSource(source, id string) string { return source + " " + id }

// listedFailed reads what a worker says of single messages of a batch that it answered with 2xx: {"failed":[{"id":"…","error":"…"}]}.
// It returns why each of them failed, by id; events also by source and id. Anything that is no JSON object lists nothing. It reports
// false where the answer may hold a list and cannot be read, or is longer than most.
func listedFailed(answer []byte, most int, events bool) (failed map[string]string, readable bool) {
	if len(answer) > most {
		return nil, false
	}
	answer = bytes.TrimSpace(bytes.TrimPrefix(answer, []byte("\uFEFF"))) // a mark that some libraries write
	if len(answer) == 0 || answer[0] != '{' {
		return nil, !bytes.HasPrefix(answer, []byte("\xff\xfe")) && !bytes.HasPrefix(answer, []byte("\xfe\xff")) // UTF-16
	}
	var list struct {
		Failed listed `json:"failed"`
	}
	if json.Unmarshal(answer, &list) != nil {
		return nil, false
	}
	failed = make(map[string]string, len(list.Failed))
	for _, f := range list.Failed {
		if f.ID == nil || *f.ID == "" {
			return nil, false
		}
		var text string
		if json.Unmarshal(f.Error, &text) != nil {
			text = string(f.Error) // any JSON may say why
		}
		id, source := *f.ID, ""
		if events && json.Unmarshal(f.Source, &source) == nil {
			id = withinSource(source, id)
		}
		failed[id] = cutText(text)
	}
	return failed, true
}

// listed is a list of failed messages. If an answer has several, all of them count.
type listed []struct {
	ID     *string         `json:"id"`
	Source json.RawMessage `json:"source"`
	Error  json.RawMessage `json:"error"`
}

// UnmarshalJSON is part of json.Unmarshaler.
func (l *listed) UnmarshalJSON(raw []byte) error {
	type plain listed
	var more plain
	err := json.Unmarshal(raw, &more)
	*l = append(*l, more...)
	return err
}

// coded reports whether an answer is compressed, although nobody asked for that.
func coded(a *http1.Answer) bool {
	if utf8.Valid(a.Body) {
		return false
	}
	coding := a.Header().Get("Content-Encoding")
	return coding != "" && !strings.EqualFold(coding, "identity")
}
