// Package apiclient has a client that oapi-codegen generates from the server's OpenAPI document,
// and a test that drives every operation with it on real parts. `go generate` makes the client.
package apiclient

//go:generate go tool oapi-codegen -config generate.yaml ../../../cmd/internal/server/openapi.yaml

import (
	_ "github.com/oapi-codegen/runtime" // of the generated client, which is not committed
)
