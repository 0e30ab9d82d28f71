package medispatcher

import (
	"fmt"
	"strconv"
	"strings"
)

// WebhookID is the id as the webhook-id header carries it. Everything but letters, digits, "_" and "-"
// is percent-escaped, even ".", because Standard Webhooks signs "<id>.<timestamp>.<body>". In a
// producer's id that looks like a generated one the first "-" is escaped, so the two cannot collide.
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

// looksGenerated reports whether an id has the form <partition>-<ms>-<sequence>, all digits.
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
