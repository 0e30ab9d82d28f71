package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/cmd/internal/access"
	"github.com/solate/medispatcher/cmd/medispatcher/operate"
)

type putAllInput struct{ request }

type putAllOutput struct{ Body operate.PutsDone }

func (a *api) putAllRoute(path string, errs []int) {
	route(a, access.Admin, huma.Operation{
		OperationID: "put-subscriptions", Method: http.MethodPut, Path: path,
		Summary: "Create or replace many subscriptions", Tags: []string{tagSubscriptions}, MaxBodyBytes: operate.MaxPutsBytes,
		Description: "If one of them is wrong, none is written, and errors names the line and the field. Subscriptions that are not " +
			"in the request stay as they are. After a 503 repeat the request: what it wrote is in force.",
		Errors: errs, Responses: ok("200", "How many", operate.PutsDone{Created: 2, Replaced: 1}),
	}, &huma.RequestBody{
		Required:    true,
		Description: "One subscription a line, each with its id; at most 10,000, and 16 MiB",
		Content: map[string]*huma.MediaType{"application/x-ndjson": {
			Schema:  &huma.Schema{Type: huma.TypeString},
			Example: `{"id":"billing","topic":"order.*","urls":["http://billing.internal:8080/hook"]}` + "\n" + `{"id":"audit","topic":">","urls":["http://audit.internal:8080/hook"]}` + "\n",
		}},
	}, a.putAll)
}

func (a *api) putAll(ctx context.Context, in *putAllInput) (*putAllOutput, error) {
	raw, err := in.read("the limit of many subscriptions")
	if err != nil {
		return nil, err
	}
	if err := in.unconditional(); err != nil {
		return nil, err
	}
	puts, err := operate.ReadPuts(raw)
	if err != nil {
		return nil, failed(err)
	}
	ctx, cancel := detached(ctx)
	defer cancel()
	done, err := operate.PutAll(ctx, a.Registry, puts)
	if err != nil {
		return nil, failed(err)
	}
	a.Log.Info("subscriptions put", "by", medispatcher.Actor(ctx), "created", done.Created, "replaced", done.Replaced)
	return &putAllOutput{done}, nil
}
