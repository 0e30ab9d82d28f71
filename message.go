package medispatcher

import (
	"encoding/json"
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"net/textproto"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
	"unsafe"
)

const (
	// DefaultType is the content type of a message that names none.
	DefaultType = "application/json"
	// maxName bounds id, sender, key and type, in bytes: each becomes a key or a header.
	maxName = 255
	// maxHeaders bounds the names and values of a message's headers together, in bytes.
	maxHeaders = 16 << 10
	// maxHeadersJSON bounds them as JSON, where each byte may be escaped in six and a header
	// has six more: what fits as it is must fit in JSON too.
	maxHeadersJSON = 8 * maxHeaders
	// maxDelay keeps a mistyped delay from hiding a message for ever.
	maxDelay = 366 * 24 * time.Hour
)

// Message is one message as a producer wrote it.
type Message struct {
	ID        string            // the producer's, else "<partition>-<entry id>"
	Generated bool              // ID was made from the entry id
	Topic     string            // dotted name
	Body      []byte            // opaque bytes; read only, they may be those of a string
	Sender    string            // optional
	Key       string            // optional; chooses the partition
	Type      string            // content type
	Headers   map[string]string // forwarded to subscribers
	Time      time.Time         // when it was published, to the millisecond
	Delay     time.Duration     // 0: at once
}

// EntryFields are the names of the fields of an incoming entry, in the order in
// which they are written. They are a public contract: producers write them with XADD.
var EntryFields = []string{"topic", "body", "id", "sender", "key", "type", "headers", "time", "delay"}

// DecodeEntry reads the fields of an incoming entry. at is the entry's own time.
// The ID stays empty where the producer gave none: only the stream knows it.
// The error names the field and says what to write instead.
func DecodeEntry(fields map[string]string, at time.Time) (Message, error) {
	m := Message{
		ID: fields["id"], Topic: fields["topic"], Sender: fields["sender"],
		Key: fields["key"], Type: fields["type"], Time: at,
	}
	if err := CheckTopic(m.Topic); err != nil {
		return m, FieldError{"topic", err.Error()}
	}
	body, ok := fields["body"]
	if !ok {
		return m, FieldError{"body", "is missing: add a body field, empty if there is nothing to say"}
	}
	m.Body = BodyOf(body)
	for _, name := range []string{"id", "sender", "key", "type"} {
		if err := checkName(fields[name]); err != nil {
			return m, FieldError{name, err.Error()}
		}
	}
	if m.Type == "" {
		m.Type = DefaultType
	}
	var err error
	if m.Headers, err = decodeHeaders(fields["headers"]); err != nil {
		return m, FieldError{"headers", err.Error()}
	}
	if s := fields["time"]; s != "" {
		ms, err := strconv.ParseInt(s, 10, 64)
		if err != nil || ms < 0 {
			return m, FieldError{"time", fmt.Sprintf("%s is not a unix time in milliseconds", quote(s))}
		}
		m.Time = time.UnixMilli(ms)
	}
	if m.Delay, err = ParseDelay(fields["delay"]); err != nil {
		return m, FieldError{"delay", err.Error()}
	}
	return m, nil
}

// BodyOf is a body without a copy, since it may be large. Nobody may write into it.
func BodyOf(s string) []byte {
	if s == "" {
		return []byte{}
	}
	return unsafe.Slice(unsafe.StringData(s), len(s))
}

// Check reports every problem of a message that is about to be published.
func (m *Message) Check() error {
	var p Problems
	if err := CheckTopic(m.Topic); err != nil {
		p.add("topic", "%v", err)
	}
	for _, f := range []struct{ name, value string }{{"id", m.ID}, {"sender", m.Sender}, {"key", m.Key}, {"type", m.Type}} {
		if err := checkName(f.value); err != nil {
			p.add(f.name, "%v", err)
		}
	}
	if err := checkHeaders(m.Headers); err != nil {
		p.add("headers", "%v", err)
	}
	if m.Delay < 0 || m.Delay > maxDelay {
		p.add("delay", "%s is outside 0 to %s", m.Delay, maxDelay)
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
		// Saturate instead of overflowing: the range check below refuses it.
		d, err = time.Duration(min(max(ms, -1), int64(maxDelay/time.Millisecond)+1))*time.Millisecond, nil
	}
	if err != nil {
		return 0, fmt.Errorf("%s is neither a duration such as 1m30s nor a number of milliseconds", quote(s))
	}
	if d < 0 || d > maxDelay {
		return 0, fmt.Errorf("%s is outside 0 to %s", quote(s), maxDelay)
	}
	return d, nil
}

func decodeHeaders(s string) (map[string]string, error) {
	if s == "" {
		return nil, nil
	}
	if len(s) > maxHeadersJSON {
		return nil, fmt.Errorf("is %d bytes long; the limit is %d", len(s), maxHeadersJSON)
	}
	var h map[string]string
	if err := json.Unmarshal([]byte(s), &h); err != nil {
		return nil, fmt.Errorf(`is not a JSON object of strings such as {"traceparent":"00-…"}: %w`, err)
	}
	return h, checkHeaders(h)
}

func checkHeaders(h map[string]string) error {
	total := 0
	seen := make(map[string]string, len(h))
	for name, value := range h {
		canonical := textproto.CanonicalMIMEHeaderKey(name)
		if other, twice := seen[canonical]; twice {
			return fmt.Errorf("%s and %s are the same header; give it once", quote(min(name, other)), quote(max(name, other)))
		}
		seen[canonical] = name
		if !validHeaderName(name) {
			return fmt.Errorf("%s is not an HTTP header name", quote(name))
		}
		if !validHeaderValue(value) {
			return fmt.Errorf("the value of %q has a control character or a line break", name)
		}
		total += len(name) + len(value)
	}
	if total > maxHeaders {
		return fmt.Errorf("hold %d bytes; the limit is %d", total, maxHeaders)
	}
	return nil
}

func validHeaderName(name string) bool {
	for i := range len(name) {
		if c := name[i]; !isAlnum(c) && !strings.ContainsRune("!#$%&'*+-.^_`|~", rune(c)) {
			return false
		}
	}
	return name != ""
}

func validHeaderValue(value string) bool {
	for i := range len(value) {
		if c := value[i]; c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return true
}

func checkName(s string) error {
	if len(s) > maxName {
		return fmt.Errorf("is %d bytes long; the limit is %d", len(s), maxName)
	}
	if !utf8.ValidString(s) {
		return fmt.Errorf("%s is not UTF-8", quote(s))
	}
	if !validHeaderValue(s) {
		return fmt.Errorf("%s has a control character", quote(s))
	}
	return nil
}

// quote shows hostile text on one line, cut short.
func quote(s string) string {
	if len(s) > 80 {
		return strconv.QuoteToASCII(s[:80]) + "…"
	}
	return strconv.QuoteToASCII(s)
}

// ReservedHeader reports whether a header belongs to the dispatcher or to HTTP
// itself, so that a message or a subscription cannot set it.
func ReservedHeader(name string) bool {
	name = textproto.CanonicalMIMEHeaderKey(name)
	switch name {
	case "Host", "Connection", "Keep-Alive", "Proxy-Authenticate", "Proxy-Authorization", "Proxy-Connection",
		"Te", "Trailer", "Transfer-Encoding", "Upgrade", "Expect":
		return true
	}
	for _, prefix := range []string{"Webhook-", "Medis-", "Content-"} {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return false
}

// Partition is the partition of a message among n: CRC32 (IEEE) of its key, else
// of its id, modulo n; neither given: any.
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

// WebhookID is the id as the webhook-id header carries it. Everything but
// letters, digits, "_" and "-" is percent-escaped, "." among them: Standard Webhooks
// signs "<id>.<timestamp>.<body>". A producer's id that looks like a generated
// one has its first "-" escaped, so the two kinds cannot collide.
func (m *Message) WebhookID() string {
	escapeAt := -1
	if !m.Generated && looksGenerated(m.ID) {
		escapeAt = strings.IndexByte(m.ID, '-')
	}
	plain := escapeAt < 0
	for i := 0; plain && i < len(m.ID); i++ {
		plain = plainIDByte(m.ID[i])
	}
	if plain {
		return m.ID
	}
	var b strings.Builder
	for i := range len(m.ID) {
		if c := m.ID[i]; plainIDByte(c) && i != escapeAt {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}

func plainIDByte(c byte) bool { return isAlnum(c) || c == '-' || c == '_' }

// looksGenerated: <partition>-<ms>-<sequence>, all digits.
func looksGenerated(id string) bool {
	parts := strings.Split(id, "-")
	if len(parts) != 3 {
		return false
	}
	for _, p := range parts {
		if _, err := strconv.ParseUint(p, 10, 64); err != nil {
			return false
		}
	}
	return true
}
