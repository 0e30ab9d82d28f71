package medispatcher

import (
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"mime"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
	"unsafe"
)

const (
	// DefaultType is the content type of a message that names none.
	DefaultType = "application/json"
	// maxName bounds id, sender, key and type, in bytes: each becomes part of a Redis key or a header.
	maxName = 255
	// maxDelay keeps a mistyped delay from hiding a message for ever.
	maxDelay = 366 * 24 * time.Hour
)

// Message is one message as a producer wrote it.
type Message struct {
	ID        string            // the producer's, else "<partition>-<entry id>"
	Generated bool              // ID was made from the entry id
	Topic     string            // dotted name
	Body      []byte            // opaque bytes; read only, because they may share memory with a string
	Sender    string            // optional
	Key       string            // optional; chooses the partition
	Type      string            // content type
	Headers   map[string]string // forwarded to subscribers
	Time      time.Time         // of publishing, to the millisecond
	Delay     time.Duration     // 0: at once
}

// JSONType reports whether a content type is JSON: application/json, text/json or …+json, with any parameters.
func JSONType(t string) bool {
	if t == DefaultType {
		return true
	}
	media, _, err := mime.ParseMediaType(t)
	return err == nil && (media == DefaultType || media == "text/json" || strings.HasSuffix(media, "+json"))
}

// BodyOf is the body in a string. It is not copied, since it may be large, so it must not be changed.
func BodyOf(s string) []byte {
	if s == "" {
		return []byte{}
	}
	return unsafe.Slice(unsafe.StringData(s), len(s))
}

// Check reports every problem of a message that is about to be published.
func (m *Message) Check() error { return m.check(func(err error) error { return err }) }

// CheckUnquoted is Check in words that repeat no value; see Unquoted.
func (m *Message) CheckUnquoted() error { return m.check(Unquoted) }

func (m *Message) check(say func(error) error) error {
	var p Problems
	if err := CheckTopic(m.Topic); err != nil {
		p.add("topic", "%v", say(err))
	}
	for _, f := range []struct{ name, value string }{{"id", m.ID}, {"sender", m.Sender}, {"key", m.Key}, {"type", m.Type}} {
		if err := checkName(f.value); err != nil {
			p.add(f.name, "%v", say(err))
		}
	}
	if err := checkHeaders(m.Headers); err != nil {
		p.add("headers", "%v", err)
	}
	if m.Delay < 0 || m.Delay > maxDelay {
		p.add("delay", "%s is outside 0 to %s", m.Delay, ShortDuration(maxDelay))
	}
	return p.err()
}

// ParseDelay reads a Go duration ("1m30s") or a number of milliseconds ("1500").
func ParseDelay(s string) (time.Duration, error) {
	if s == "" {
		return 0, nil
	}
	d, err := time.ParseDuration(s)
	if ms, msErr := strconv.ParseInt(s, 10, 64); msErr == nil {
		// Saturate instead of overflowing; the range check below refuses the value.
		d, err = time.Duration(min(max(ms, -1), int64(maxDelay/time.Millisecond)+1))*time.Millisecond, nil
	}
	if err != nil {
		const problem = "is neither a duration such as 1m30s nor a number of milliseconds"
		return 0, quoting{quote(s) + " " + problem, problem}
	}
	if d < 0 || d > maxDelay {
		return 0, fmt.Errorf("%s is outside 0 to %s", quote(s), ShortDuration(maxDelay))
	}
	return d, nil
}

func checkName(s string) error {
	if len(s) > maxName {
		return fmt.Errorf("is %d bytes long; the limit is %d", len(s), maxName)
	}
	if !utf8.ValidString(s) {
		return quoting{quote(s) + " is not UTF-8", "is not UTF-8"}
	}
	if !validHeaderValue(s) {
		return quoting{quote(s) + " has a control character", "has a control character"}
	}
	return nil
}

// Partition is the partition of a message among n: CRC32 (IEEE) of its key, else
// of its id, modulo n. Without both it is any.
func Partition(key, id string, n int) int {
	if n <= 1 {
		return 0
	}
	if key == "" {
		key = id
	}
	if key == "" {
		return rand.IntN(n)
	}
	return int(crc32.ChecksumIEEE([]byte(key)) % uint32(n))
}
