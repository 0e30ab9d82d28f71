package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/solate/medispatcher/cmd/medispatcher/panel/problem"
)

const (
	// HealthPath answers whether the process is alive, without a token.
	HealthPath = "/healthz"
	// ReadyPath answers whether it can work, without a token.
	ReadyPath = "/readyz"
)

type healthOutput struct {
	ContentType string `header:"Content-Type"`
	Body        []byte
}

func (a *api) healthRoutes() {
	alive := &healthOutput{ContentType: "text/plain; charset=utf-8", Body: []byte("ok\n")}
	text := map[string]*huma.Response{"200": {Description: "ok", Content: map[string]*huma.MediaType{
		"text/plain": {Schema: &huma.Schema{Type: huma.TypeString}, Example: "ok"}}}}
	openRoute(a, huma.Operation{
		OperationID: "get-health", Method: http.MethodGet, Path: HealthPath,
		Summary: "Whether the process is alive", Tags: []string{tagHealth}, Responses: text,
	}, nil, func(context.Context, *struct{}) (*healthOutput, error) { return alive, nil })
	openRoute(a, huma.Operation{
		OperationID: "get-readiness", Method: http.MethodGet, Path: ReadyPath,
		Summary: "Whether it can work: Redis answers, and it is not stopping", Tags: []string{tagHealth},
		Errors: []int{http.StatusServiceUnavailable}, Responses: map[string]*huma.Response{"200": text["200"]},
	}, nil, func(context.Context, *struct{}) (*healthOutput, error) {
		if err := a.Ready(); err != nil {
			return nil, problem.New(http.StatusServiceUnavailable, "not ready: "+err.Error())
		}
		return alive, nil
	})
}
