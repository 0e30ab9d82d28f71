package cloudevents

import (
	"crypto/sha256"
	"encoding/base32"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"mime"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/solate/medispatcher"
)

// version is the one that is read and written.
const version = "1.0"

// message is the message that an event becomes, checked. problems are those that reading it met, and place is where it stands.
func (r Reader) message(e event, problems medispatcher.Problems, place string) (medispatcher.Message, error) {
	a := e.attributes
	m := medispatcher.Message{
		Topic: a["type"], Body: e.data, Sender: a["source"], Key: a["subject"], Type: a["datacontenttype"], Headers: map[string]string{},
	}
	maps.Copy(m.Headers, r.Headers)
	header := func(name, value string) { m.Headers[medispatcher.CloudEventPrefix+name] = value }
	header("id", a["id"]) // that of the message is made of more
	if r.Topic != "" {
		if m.Topic = r.Topic; m.Topic != a["type"] {
			header("type", a["type"])
		}
	}
	if m.Type == "" {
		m.Type = medispatcher.DefaultType
		header("datacontenttype", "")
	}
	if m.Body == nil {
		m.Body = []byte{}
	}
	if len(problems) == 0 {
		problems = e.check()
	}
	if at, given := a["time"]; given && at != "" {
		m.Time, _ = time.Parse(time.RFC3339, at)
		if m.Time.UnixMilli() < 0 {
			m.Time = time.Time{}
		}
		if m.Time.IsZero() || medispatcher.CloudEventTime(m.Time) != at {
			header("time", at)
		}
	} else {
		header("time", "")
	}
	for name, value := range a {
		if medispatcher.IsExtensionName(name) {
			header(name, value)
		}
	}
	if len(problems) == 0 {
		m.ID = messageID(a["source"], a["id"])
		problems = problemsOf(&m)
	}
	if len(problems) > 0 {
		slices.SortStableFunc(problems, func(x, y medispatcher.FieldError) int { return strings.Compare(x.Field, y.Field) })
		for i := range problems {
			problems[i].Field = place + problems[i].Field
		}
		return m, problems
	}
	if int64(len(m.Body)) > r.MaxBody {
		return m, fmt.Errorf("%s%w: the data has %d bytes, and MEDIS_MAX_BODY allows %d", place, medispatcher.ErrTooLarge, len(m.Body), r.MaxBody)
	}
	return m, nil
}

// check says what is wrong with the attributes, but for what a message can say.
func (e *event) check() (problems medispatcher.Problems) {
	wrong := func(name, format string, args ...any) {
		problems = append(problems, medispatcher.FieldError{Field: name, Problem: fmt.Sprintf(format, args...)})
	}
	a := e.attributes
	if v := a["specversion"]; v != version {
		wrong("specversion", "is %.40q; this takes %s", v, version)
	}
	for _, name := range []string{"id", "source", "type"} {
		if strings.TrimSpace(a[name]) == "" {
			wrong(name, "is missing: each event has one")
		}
	}
	for _, name := range slices.Sorted(maps.Keys(a)) {
		value := a[name]
		if _, kind := medispatcher.AttributeOf(medispatcher.CloudEventPrefix + name); kind == medispatcher.BadAttribute {
			wrong(name, "cannot be the name of an attribute, which has only a-z and 0-9")
		}
		if strings.ContainsFunc(value, unicode.IsControl) {
			wrong(name, "has a control character")
		}
	}
	if source := a["source"]; medispatcher.CloudEventSource(source) != source {
		wrong("source", "%.80q is not a URI-reference such as https://shop.example/orders or /shop; percent-escape what a URI cannot hold", source)
	}
	if at := a["time"]; at != "" {
		if _, err := time.Parse(time.RFC3339, at); err != nil {
			wrong("time", "%.80q is not a time such as 2026-01-02T15:04:05Z", at)
		}
	}
	if schema := a["dataschema"]; schema != "" {
		if u, err := url.Parse(schema); err != nil || u.Scheme == "" {
			wrong("dataschema", "%.80q is not a URI such as https://shop.example/schemas/order", schema)
		}
	}
	if t := a["datacontenttype"]; t != "" {
		if _, _, err := mime.ParseMediaType(t); err != nil {
			wrong("datacontenttype", "%.80q is not a content type such as application/json", t)
		}
	}
	return problems
}

// attributeOf are the attributes that fields of a message hold.
var attributeOf = map[string]string{"topic": "type", "sender": "source", "key": "subject", "type": "datacontenttype", "headers": "attributes"}

// problemsOf says what a message cannot hold, by the names of the attributes.
func problemsOf(m *medispatcher.Message) (problems medispatcher.Problems) {
	errors.As(m.Check(), &problems)
	for i, p := range problems {
		if name := attributeOf[p.Field]; name != "" {
			problems[i].Field = name
		}
		if _, own := m.Headers[medispatcher.CloudEventPrefix+"type"]; p.Field == "topic" && !own {
			problems[i].Problem = "cannot be a topic: " + p.Problem + "; name a topic for it, by ?topic=NAME or the argument TOPIC of the command"
		} else if p.Field == "topic" {
			problems[i].Field = "topic"
		}
	}
	return problems
}

const (
	// longestID bounds the id of a message.
	longestID = 255
	// sourceBytes of its hash stand for a source.
	sourceBytes = 10
)

var lowerBase32 = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// messageID is the id of the message that an event becomes. Two events are the same if both their sources and their ids are. So it is
// the event's id, for people, with a hash of its source behind it.
func messageID(source, id string) string {
	sum := sha256.Sum256([]byte(source))
	behind := "-" + lowerBase32.EncodeToString(sum[:sourceBytes])
	if len(id)+len(behind) > longestID {
		whole := sha256.Sum256([]byte(id))
		id = hex.EncodeToString(whole[:])
	}
	return id + behind
}
