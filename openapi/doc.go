// Package openapi holds openapi.json, the description of the HTTP API, and tests it. A dispatcher
// serves the document at /openapi.json. The tests validate it and use a running dispatcher with a
// client that is generated from it. They check every request and answer against the document.
//
//	go generate && go test -tags client      # or task openapi, from the root
//
// To make your own client from openapi.json, use any generator that reads OpenAPI 3.1. This is a
// module of its own, so that its tools are not dependencies of medispatcher. It runs the program
// and imports nothing of it.
package openapi

//go:generate go tool oapi-codegen -config oapi-codegen.yaml openapi.json
