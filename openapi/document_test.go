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

var update = flag.Bool("update", false, "write openapi.json anew")

// TestDocument: the file is what a dispatcher with its default configuration serves, and it is valid.
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
		t.Errorf("%s is not what is served (%v); write it anew: go test -run TestDocument -update && go generate", documentFile, err)
	}
	if ok, problems := newValidator(t, served).ValidateDocument(); !ok {
		for _, p := range problems {
			t.Errorf("%s: %s", p.Message, p.Reason)
		}
	}
}

// TestExamples: every operation has an example of what it takes and of what it answers, which holds
// to its own schema; every status says what it means.
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
					t.Errorf("%s: no example of a body of %s", op.OperationID, kind)
				}
			}
			for status, r := range op.Responses {
				for kind, c := range r.Content {
					if path == "/openapi.json" && status == "200" {
						continue
					}
					if c.Example == nil {
						t.Errorf("%s: no example of the answer %s of %s", op.OperationID, status, kind)
						continue
					}
					body := c.Example
					if kind == "text/plain" {
						body = []byte("ok")
					}
					code, _ := strconv.Atoi(status)
					// No id is part of a path's examples: any will do.
					req := httptest.NewRequest(strings.ToUpper(method), strings.NewReplacer("{", "", "}", "").Replace(path), nil)
					answer := &http.Response{StatusCode: code, Header: http.Header{"Content-Type": {kind}}, Body: io.NopCloser(bytes.NewReader(body))}
					if ok, problems := v.ValidateHttpResponse(req, answer); !ok {
						for _, p := range problems {
							t.Errorf("%s: the example of %s: %s: %s", op.OperationID, status, p.Message, p.Reason)
						}
					}
				}
				if n, _ := strconv.Atoi(status); r.Description == "" || r.Description == http.StatusText(n) && n >= 400 {
					t.Errorf("%s: %s is not described", op.OperationID, status)
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
