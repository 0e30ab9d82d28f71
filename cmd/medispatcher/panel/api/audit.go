package api

import (
	"context"
	"encoding/json"
	"io"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/cmd/internal/access"
)

// exportPage is how many deeds of an export are read at once.
const exportPage = 500

type auditInput struct {
	Before string `query:"before" doc:"Only deeds before this one: the next of the previous page"`
	Limit  int    `query:"limit" doc:"Most deeds in the answer" default:"100" minimum:"1" maximum:"500"`
}

type deedList struct {
	Deeds []medispatcher.Deed `json:"deeds" doc:"Latest first, secrets masked"`
	Next  string              `json:"next,omitempty" doc:"Pass it as ?before= for the next page; absent on the last page"`
}

type auditOutput struct{ Body deedList }

type exportOutput struct {
	ContentType string `header:"Content-Type"`
	Disposition string `header:"Content-Disposition"`
	Body        func(huma.Context)
}

func (a *api) auditRoutes() {
	example := map[string]any{
		"id": "1767225600000-0", "time": "2026-01-01T00:00:00Z", "by": "panel ann", "from": "10.0.0.7", "what": "replay-dead-letters",
		"subscription": "billing", "counts": map[string]any{"replayed": 450},
	}
	const about = "Changes of subscriptions, what was done to messages, and who signed in and out; over the API, in the panel and by commands. " +
		"About ten thousand changes of subscriptions are kept, and as many other deeds."
	route(a, access.Reader, huma.Operation{
		OperationID: "get-audit", Method: http.MethodGet, Path: Prefix + "/audit",
		Summary: "Who did what, and when", Tags: []string{tagStatus}, Description: about,
		Errors:    []int{http.StatusUnprocessableEntity, http.StatusServiceUnavailable},
		Responses: ok("200", "Deeds, latest first", map[string]any{"deeds": []any{example}, "next": "1767225600000-0"}),
	}, nil, a.audit)
	route(a, access.Reader, huma.Operation{
		OperationID: "export-audit", Method: http.MethodGet, Path: Prefix + "/audit.ndjson",
		Summary: "The whole audit trail, one JSON object a line", Tags: []string{tagStatus}, Description: about + " Latest first.",
		Errors: []int{http.StatusServiceUnavailable},
		Responses: map[string]*huma.Response{"200": {Description: "Deeds, one a line. If it breaks off, the connection is cut.",
			Content: map[string]*huma.MediaType{"application/x-ndjson": {
				Schema:  &huma.Schema{Type: huma.TypeString},
				Example: `{"id":"1767225600000-0","time":"2026-01-01T00:00:00Z","by":"panel ann","from":"10.0.0.7","what":"sign-in"}` + "\n",
			}}}},
	}, nil, a.exportAudit)
}

func (a *api) audit(ctx context.Context, in *auditInput) (*auditOutput, error) {
	deeds, err := a.Store.Deeds(ctx, in.Before, in.Limit)
	if err != nil {
		return nil, badID(err, "before")
	}
	list := deedList{Deeds: deeds}
	if len(deeds) == in.Limit {
		list.Next = deeds[len(deeds)-1].ID
	}
	return &auditOutput{list}, nil
}

func (a *api) exportAudit(ctx context.Context, _ *struct{}) (*exportOutput, error) {
	first, err := a.Store.Deeds(ctx, "", exportPage)
	if err != nil {
		return nil, failed(err)
	}
	return &exportOutput{"application/x-ndjson", `attachment; filename="audit.ndjson"`, func(ctx huma.Context) {
		if err := a.writeDeeds(ctx.Context(), ctx.BodyWriter(), first); err != nil {
			a.Log.Warn("the export of the audit trail broke off", "error", err)
			panic(http.ErrAbortHandler) // cuts the connection: a partial export must not look complete
		}
	}}, nil
}

// writeDeeds writes a page of deeds and all before them.
func (a *api) writeDeeds(ctx context.Context, w io.Writer, page []medispatcher.Deed) (err error) {
	encoder := json.NewEncoder(w)
	for {
		for _, d := range page {
			if err := encoder.Encode(d); err != nil {
				return err
			}
		}
		if len(page) < exportPage {
			return nil
		}
		if page, err = a.Store.Deeds(ctx, page[len(page)-1].ID, exportPage); err != nil {
			return err
		}
	}
}
