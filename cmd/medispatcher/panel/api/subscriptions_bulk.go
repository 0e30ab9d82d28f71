package api

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/cmd/internal/access"
	"github.com/solate/medispatcher/cmd/medispatcher/operate"
	"github.com/solate/medispatcher/cmd/medispatcher/panel/problem"
)

// maxBulkDocument bounds a request that names subscriptions, in bytes.
const maxBulkDocument = 2 * maxDocument

type bulkInput struct{ request }

type bulkOutput struct{ Body operate.Patched }

func (a *api) bulkRoutes(path string) {
	const how = " A thousand at most are named. One that cannot be changed leaves the others alone, and each change is in the history. " +
		"One request works for a limited time: send again what remains."
	ids := &huma.Schema{Type: huma.TypeArray, Items: &huma.Schema{Type: huma.TypeString}}
	bulk := func(needs access.Role, op huma.Operation, properties map[string]*huma.Schema, example map[string]any, patch json.RawMessage) {
		op.Tags, op.MaxBodyBytes, op.Description = []string{tagSubscriptions}, maxBulkDocument, op.Description+how
		op.Errors = []int{http.StatusBadRequest, http.StatusRequestTimeout, http.StatusRequestEntityTooLarge, http.StatusUnprocessableEntity, http.StatusServiceUnavailable}
		op.Responses = ok("200", "What became of them", operate.Patched{Changed: 2, Failed: []operate.PatchRefused{{ID: "billing", Problem: "concurrency: 0 is outside 1 to 1500"}}})
		required := []string{"ids"}
		if properties["patch"] != nil {
			required = append(required, "patch")
		}
		properties["ids"], example["ids"] = ids, []string{"billing", "mailer", "stock"}
		route(a, needs, op, &huma.RequestBody{Required: true, Content: map[string]*huma.MediaType{"application/json": {
			Schema: &huma.Schema{Type: huma.TypeObject, AdditionalProperties: false, Required: required, Properties: properties}, Example: example,
		}}}, func(ctx context.Context, in *bulkInput) (*bulkOutput, error) { return a.patchMany(ctx, in, patch) })
	}
	bulk(access.Admin, huma.Operation{
		OperationID: "patch-subscriptions", Method: http.MethodPatch, Path: path,
		Summary: "Change fields of many subscriptions", Description: "Merges one patch (RFC 7396) into each.",
	}, map[string]*huma.Schema{"patch": refPatch}, map[string]any{"patch": map[string]any{"concurrency": 32}}, nil)
	bulk(access.Operator, huma.Operation{
		OperationID: "pause-subscriptions", Method: http.MethodPost, Path: path + "/pause",
		Summary: "Stop pushing to many subscriptions", Description: "Their messages wait.",
	}, map[string]*huma.Schema{}, map[string]any{}, pausing(true))
	bulk(access.Operator, huma.Operation{
		OperationID: "resume-subscriptions", Method: http.MethodPost, Path: path + "/resume",
		Summary: "Push to many paused subscriptions again", Description: "What waits is pushed.",
	}, map[string]*huma.Schema{}, map[string]any{}, pausing(false))
}

// pausing is a patch that pauses a subscription, or resumes it.
func pausing(paused bool) []byte { return fmt.Appendf(nil, `{"paused":%t}`, paused) }

// patchMany merges a patch into the subscriptions that the request names: that of the request if patch is nil.
func (a *api) patchMany(ctx context.Context, in *bulkInput, patch json.RawMessage) (*bulkOutput, error) {
	raw, err := in.document()
	if err != nil {
		return nil, err
	}
	if err := in.unconditional(); err != nil {
		return nil, err
	}
	ids, patch, err := readBulk(raw, patch)
	if err != nil {
		return nil, err
	}
	ctx, cancel := detached(ctx)
	defer cancel()
	until := time.Now().Add(changeFor)
	done, err := operate.PatchMany(ctx, a.Registry, ids, patch, func() bool { return time.Now().Before(until) })
	a.Log.Info("subscriptions changed", "by", medispatcher.Actor(ctx), "changed", done.Changed, "failed", len(done.Failed), "remaining", len(done.Remaining))
	if err != nil {
		return nil, unavailable(fmt.Sprintf("%d of %d subscriptions were changed", done.Changed, len(ids)), err)
	}
	return &bulkOutput{done}, nil
}

// readBulk reads ids and a patch, unless that is given.
func readBulk(raw, patch []byte) ([]string, []byte, error) {
	var body struct {
		IDs   idList          `json:"ids"`
		Patch json.RawMessage `json:"patch"`
	}
	example := `{"ids":["billing"]}`
	if patch == nil {
		example = `{"ids":["billing"],"patch":{"concurrency":32}}`
	}
	if err := decode(raw, &body, example); err != nil {
		return nil, nil, err
	}
	wrong := func(field, format string, args ...any) ([]string, []byte, error) {
		return nil, nil, problem.Invalid(medispatcher.Problems{{Field: field, Problem: fmt.Sprintf(format, args...)}})
	}
	switch {
	case len(body.IDs) == 0:
		return wrong("ids", "is empty; name the subscriptions")
	case len(body.IDs) > operate.MaxPatched:
		return wrong("ids", "names %d subscriptions; the limit is %d", len(body.IDs), operate.MaxPatched)
	case patch == nil && len(body.Patch) == 0:
		return wrong("patch", "is missing")
	case patch != nil && body.Patch != nil:
		return wrong("patch", "is not for this; PATCH %s/subscriptions changes fields", Prefix)
	case patch == nil:
		patch = body.Patch
	}
	return body.IDs, patch, nil
}
