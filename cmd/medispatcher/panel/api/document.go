package api

import (
	"context"
	"encoding/json"
	"net/http"
	"sync"

	"github.com/danielgtaylor/huma/v2"

	"github.com/solate/medispatcher/cmd/internal/access"
)

// tokenScheme names the security scheme in the document.
const tokenScheme = "token"

// Tags of the operations.
const (
	tagMessages      = "messages"
	tagSubscriptions = "subscriptions"
	tagDead          = "dead letters"
	tagKept          = "kept messages"
	tagStatus        = "status"
	tagAlerts        = "alerts"
	tagHealth        = "health"
)

// An empty list in an answer is [], never null.
func init() { huma.DefaultArrayNullable = false }

func humaConfig(cfg Config) huma.Config {
	c := huma.DefaultConfig("medispatcher", cfg.Version)
	// huma's docs page loads scripts from a CDN, its hooks add $schema to every answer, and it
	// renders the document lazily without a lock: documentRoute serves the document instead.
	c.DocsPath, c.SchemasPath, c.OpenAPIPath, c.CreateHooks = "", "", "", nil
	// A mistyped ?delay= would otherwise be ignored, and the message published at once.
	c.RejectUnknownQueryParameters = true
	c.Transformers = []huma.Transformer{nameFields}
	c.Info.Description = "Publish messages, manage subscriptions, see what is waiting. " +
		"Every error is a problem document (RFC 9457) whose detail says what to do."
	if cfg.BasePath != "" {
		c.Servers = []*huma.Server{{URL: cfg.BasePath}}
	}
	c.Info.License = &huma.License{Name: "MIT", Identifier: "MIT"}
	c.Tags = []*huma.Tag{
		{Name: tagMessages, Description: "Publishing"},
		{Name: tagSubscriptions, Description: "Who wants a topic, and how to push to them"},
		{Name: tagDead, Description: "Messages whose attempts are exhausted; they are kept whole"},
		{Name: tagKept, Description: "Messages that reached no channel: nobody wanted them, or they could not be decoded"},
		{Name: tagStatus, Description: "What is waiting, and the dispatchers"},
		{Name: tagAlerts, Description: "Firing alerts and the last notices"},
		{Name: tagHealth, Description: "For probes; they need no token"},
	}
	c.Components.SecuritySchemes = map[string]*huma.SecurityScheme{tokenScheme: {
		Type: "http", Scheme: "bearer",
		Description: "A token of MEDIS_TOKENS, or the value of MEDIS_ADMIN_TOKEN. Where neither is set, no token is needed. " +
			"x-role of an operation is the least role that may use it.",
	}}
	return c
}

// ok documents the answer of an operation by an example.
func ok(status, description string, example any) map[string]*huma.Response {
	return map[string]*huma.Response{status: {
		Description: description,
		Content:     map[string]*huma.MediaType{"application/json": {Example: example}},
	}}
}

type documentOutput struct {
	ContentType string `header:"Content-Type"`
	Body        []byte
}

// documentRoute serves the OpenAPI document. It is made when it is first asked for, because every
// operation is registered by then.
func (a *api) documentRoute() {
	doc := sync.OnceValue(func() []byte {
		raw, err := json.Marshal(a.huma.OpenAPI())
		if err != nil {
			panic(err) // made of literals: the tests would see it
		}
		return raw
	})
	route(a, access.Anybody, huma.Operation{
		OperationID: "get-openapi", Method: http.MethodGet, Path: "/openapi.json",
		Summary: "This document", Tags: []string{tagStatus},
		Responses: map[string]*huma.Response{"200": {
			Description: "An OpenAPI 3.1 document",
			Content:     map[string]*huma.MediaType{"application/openapi+json": {Schema: &huma.Schema{Type: huma.TypeObject}}},
		}},
	}, nil, func(context.Context, *struct{}) (*documentOutput, error) {
		return &documentOutput{ContentType: "application/openapi+json", Body: doc()}, nil
	})
}
