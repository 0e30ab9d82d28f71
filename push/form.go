package push

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/url"
	"strconv"

	"github.com/solate/medispatcher"
)

// formType is the content type of the protocol of earlier versions.
const formType = "application/x-www-form-urlencoded"

// formGrowth is how many times as large as a message its form may be: each byte may be escaped in three.
const formGrowth = 3

// formBody is a push in the protocol of earlier versions: the body of the request
// and what is added to the query of its URL.
func formBody(d *medispatcher.Delivery) (body []byte, query string) {
	message := d.Message.Body
	if !json.Valid(message) {
		message, _ = json.Marshal(string(message)) // a string always has JSON
	}
	meta := url.Values{
		"jobid":       {jobID(d)},
		"retry_times": {strconv.Itoa(d.Attempt - 1)},
	}
	query = meta.Encode()
	body = make([]byte, 0, len("message=&")+escapedLen(message)+len(query)) // held once: it may be large
	body = appendEscaped(append(body, "message="...), message)
	return append(append(body, '&'), query...), query
}

// appendEscaped is url.QueryEscape without its copies.
func appendEscaped(dst, src []byte) []byte {
	for _, c := range src {
		switch {
		case unescaped(c):
			dst = append(dst, c)
		case c == ' ':
			dst = append(dst, '+')
		default:
			dst = appendPercent(dst, c)
		}
	}
	return dst
}

// appendPercent appends a byte percent-escaped.
func appendPercent(dst []byte, c byte) []byte {
	const digits = "0123456789ABCDEF"
	return append(dst, '%', digits[c>>4], digits[c&15])
}

// escapedLen is how many bytes appendEscaped adds.
func escapedLen(src []byte) int {
	n := len(src)
	for _, c := range src {
		if c != ' ' && !unescaped(c) {
			n += 2
		}
	}
	return n
}

// unescaped reports whether a byte stands for itself in a query.
func unescaped(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-' || c == '_' || c == '.' || c == '~'
}

// jobID is the same for every attempt.
func jobID(d *medispatcher.Delivery) string {
	micros := d.Message.Time.UnixMicro()
	return fmt.Sprintf("%d.%06d-%s-%s", micros/1e6, micros%1e6, d.Message.ID, d.Subscription)
}

// formAccepted reports whether an answer means success: 200 alone, with a JSON body
// whose status is 1 or "1".
func formAccepted(status int, answer []byte) bool {
	var a map[string]json.RawMessage // a struct would take "STATUS", too
	if status != 200 || json.Unmarshal(answer, &a) != nil {
		return false
	}
	s := bytes.Trim(a["status"], `"`)
	return string(s) == "1"
}
