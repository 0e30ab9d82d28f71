package openapi_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/pb33f/libopenapi"
	validator "github.com/pb33f/libopenapi-validator"
)

const documentFile = "openapi.json"

var update = flag.Bool("update", false, "write openapi.json again")

// TestDocument: openapi.json is what a dispatcher serves by default, and it is valid.
func TestDocument(t *testing.T) {
	d := startDispatcher(t)
	served := d.document(t)
	if *update {
		if err := os.WriteFile(documentFile, served, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	kept, err := os.ReadFile(documentFile)
	if err != nil || !bytes.Equal(kept, served) {
		t.Errorf("%s is not what is served (read error: %v); to write it again, run go test -run TestDocument -update && go generate", documentFile, err)
	}
	if ok, problems := newValidator(t, served).ValidateDocument(); !ok {
		for _, p := range problems {
			t.Errorf("the document is invalid: %s: %s", p.Message, p.Reason)
		}
	}
}

// TestExamples: every operation has examples of its request bodies and its answers. The examples of
// answers match their schemas. Every status has a description.
func TestExamples(t *testing.T) {
	raw, err := os.ReadFile(documentFile)
	if err != nil {
		t.Fatal(err)
	}
	type content map[string]struct{ Example, Examples, Schema json.RawMessage }
	var doc struct {
		Paths map[string]map[string]struct {
			OperationID string
			Description string
			RequestBody struct{ Content content }
			Responses   map[string]struct {
				Description string
				Content     content
			}
		}
	}
	if err := json.Unmarshal(raw, &doc); err != nil {
		t.Fatal(err)
	}
	v := newValidator(t, raw)
	for path, operations := range doc.Paths {
		for method, op := range operations {
			for kind, c := range op.RequestBody.Content {
				if c.Example == nil && c.Examples == nil && kind != "*/*" {
					t.Errorf("%s: the request body %s has no example, want one", op.OperationID, kind)
				}
			}
			for status, r := range op.Responses {
				for kind, c := range r.Content {
					if path == "/openapi.json" && status == "200" {
						continue
					}
					if c.Example == nil {
						t.Errorf("%s: the answer %s %s has no example, want one", op.OperationID, status, kind)
						continue
					}
					body := c.Example
					if kind == "text/plain" {
						body = []byte("ok")
					}
					code, _ := strconv.Atoi(status)
					// Path parameters have no examples, so their names stand in for ids.
					req := httptest.NewRequest(strings.ToUpper(method), strings.NewReplacer("{", "", "}", "").Replace(path), nil)
					answer := &http.Response{StatusCode: code, Header: http.Header{"Content-Type": {kind}}, Body: io.NopCloser(bytes.NewReader(body))}
					if ok, problems := v.ValidateHttpResponse(req, answer); !ok {
						for _, p := range problems {
							t.Errorf("%s: the example of %s does not match its schema: %s: %s", op.OperationID, status, p.Message, p.Reason)
						}
					}
				}
				if n, _ := strconv.Atoi(status); r.Description == "" || r.Description == http.StatusText(n) && n >= 400 {
					t.Errorf("%s: %s has the description %q, want one of its own", op.OperationID, status, r.Description)
				}
			}
		}
	}
}

func newValidator(t *testing.T, document []byte) validator.Validator {
	t.Helper()
	doc, err := libopenapi.NewDocument(document)
	if err != nil {
		t.Fatal(err)
	}
	v, errs := validator.NewValidator(doc)
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	return v
}
