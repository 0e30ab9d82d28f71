package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"unicode/utf8"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/cmd/medispatcher/operate"
	"github.com/solate/medispatcher/cmd/medispatcher/panel/problem"
)

// maxDocument bounds the JSON documents of the API, in bytes.
const maxDocument = 64 << 10

// request is embedded in the input of operations that need more of the request than
// huma gives: the body, read up to an exact limit, and all headers.
type request struct {
	header http.Header
	body   []byte
	err    error
}

// Resolve is called by huma before the handler. The limit of the body is the operation's.
func (q *request) Resolve(ctx huma.Context) []error {
	r, w := humago.Unwrap(ctx)
	q.header = r.Header
	if limit := ctx.Operation().MaxBodyBytes; limit > 0 {
		q.body, q.err = readBody(w, r, limit)
	}
	return nil
}

// readBody reads a body of at most limit bytes. A longer one is refused by its announced length,
// or else as soon as it passes the limit.
func readBody(w http.ResponseWriter, r *http.Request, limit int64) ([]byte, error) {
	if r.ContentLength > limit {
		return nil, &http.MaxBytesError{Limit: limit}
	}
	var b bytes.Buffer
	if n := r.ContentLength; n > 0 {
		b.Grow(int(n) + bytes.MinRead) // one allocation; ReadFrom wants room to find the end
	}
	_, err := b.ReadFrom(http.MaxBytesReader(w, r.Body, limit))
	return b.Bytes(), err
}

// read returns the body, or a problem document. limited says who sets the limit.
func (q *request) read(limited string) ([]byte, error) {
	if q.err == nil {
		return q.body, nil
	}
	p := problem.New(http.StatusBadRequest, fmt.Sprintf("the body ended too early: %v; repeat the request", q.err))
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(q.err, &tooLarge):
		p = problem.New(http.StatusRequestEntityTooLarge, fmt.Sprintf("the body is larger than %d bytes, %s", tooLarge.Limit, limited))
	case errors.Is(q.err, os.ErrDeadlineExceeded):
		p = problem.New(http.StatusRequestTimeout, "the body arrived too slowly; repeat the request")
	}
	// What is left of the body is not read, so the connection cannot be used again.
	return nil, huma.ErrorWithHeaders(p, http.Header{"Connection": {"close"}})
}

// document returns the body of a request that carries a JSON document.
func (q *request) document() ([]byte, error) {
	return q.read("the limit of a JSON document")
}

// decode reads the JSON document of a request: one object that has the fields of into alone, such as example. The error is a
// problem document.
func decode(raw []byte, into any, example string) error {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	err := d.Decode(into)
	if err == nil {
		if _, end := d.Token(); !errors.Is(end, io.EOF) {
			err = errors.New("something follows it")
		}
	}
	switch {
	case !utf8.Valid(raw): // which Decode would change
		err = errors.New("it is not UTF-8")
	case string(bytes.TrimSpace(raw)) == "null": // which Decode ignores
		err = errors.New("it is null")
	}
	if err != nil {
		return problem.Invalid(medispatcher.Problems{{Field: "body", Problem: "is not " + example + ": " + medispatcher.JSONProblem(err)}})
	}
	return nil
}

// idList is the field ids of a document: each id once. encoding/json takes null for no list or for "", and without a list a
// request is about all.
type idList []string

func (l *idList) UnmarshalJSON(raw []byte) error {
	var ids []*string
	if err := json.Unmarshal(raw, &ids); err != nil {
		return err
	}
	if ids == nil {
		return errors.New("ids is null")
	}
	*l = idList{}
	for i, id := range ids {
		if id == nil {
			return fmt.Errorf("ids[%d] is null", i)
		}
		*l = append(*l, *id)
	}
	*l = operate.Distinct(*l)
	return nil
}

// matchText is the field match of a document, nil where it is left out.
type matchText struct{ text *string }

func (m *matchText) UnmarshalJSON(raw []byte) error {
	if err := json.Unmarshal(raw, &m.text); err != nil {
		return err
	}
	if m.text == nil {
		return errors.New("match is null")
	}
	return nil
}

// ifMatch reads the If-Match header: the revisions of which one must hold. given is whether there
// is a condition. A weak or empty tag never holds (RFC 9110), so it is left out of the revisions.
func (q *request) ifMatch() (revisions []string, given bool) {
	return tags(q.header.Values("If-Match"), false)
}

// ifNoneMatch reads the If-None-Match header: the revisions of which none may hold. A weak tag is as good as a strong one.
func (q *request) ifNoneMatch() (revisions []string, given bool) {
	return tags(q.header.Values("If-None-Match"), true)
}

// tags reads the lines of a list of entity tags. A * without quotes stands for any.
func tags(lines []string, weak bool) (revisions []string, given bool) {
	for _, line := range lines {
		for tag := range strings.SplitSeq(line, ",") {
			tag = strings.TrimSpace(tag)
			if weak {
				tag = strings.TrimPrefix(tag, "W/")
			}
			quoted := len(tag) > 1 && tag[0] == '"' && tag[len(tag)-1] == '"'
			if quoted {
				tag = tag[1 : len(tag)-1]
			}
			given = true
			if tag != "" && !strings.HasPrefix(tag, "W/") && (tag != "*" || !quoted) {
				revisions = append(revisions, tag)
			}
		}
	}
	return revisions, given
}

// unconditional refuses conditions of a request about many subscriptions.
func (q *request) unconditional() error {
	for _, name := range []string{"If-Match", "If-None-Match"} {
		if len(q.header.Values(name)) > 0 {
			return problem.Invalid(medispatcher.Problems{{Field: name, Problem: "is the revision of one subscription; change that one alone"}})
		}
	}
	return nil
}

// etag is a revision as a header carries it.
func etag(rev string) string { return `"` + rev + `"` }
