// Package openapi holds the description of the HTTP API, openapi.json, which a dispatcher serves
// at /openapi.json, and tries it: the document is validated, a client is generated from it, and
// that client uses a running dispatcher, every request and answer being held to the document.
//
//	go generate && go test -tags client      # or task openapi, from the root
//
// Make a client of your own from openapi.json with any generator that reads OpenAPI 3.1.
package openapi

//go:generate go tool oapi-codegen -config oapi-codegen.yaml openapi.json
