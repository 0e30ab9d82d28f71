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

// formBody is a push in the protocol of earlier versions: the body of the request
// and what is added to its query.
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
	return []byte(url.Values{"message": {string(message)}}.Encode() + "&" + query), query
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

// withQuery is u with more in its query; u itself is shared and stays as it is.
func withQuery(u *url.URL, query string) *url.URL {
	c := *u
	if c.RawQuery != "" {
		query = c.RawQuery + "&" + query
	}
	c.RawQuery = query
	return &c
}
