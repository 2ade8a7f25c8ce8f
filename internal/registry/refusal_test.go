package registry_test

import (
	"errors"
	"testing"

	"git.moleculesai.app/molecule-ai/pinion/internal/errdef"
	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore"
	"git.moleculesai.app/molecule-ai/pinion/internal/registry"
)

// TestRefusalOf: only a refusal that is of the name, by its words or by a status of 4xx that is no
// other's, can be of a tag that may not move. The texts are those of engines 20.10 and 29.
func TestRefusalOf(t *testing.T) {
	for _, c := range []struct {
		text      string
		status    int
		cause     error
		situation errdef.Situation
		ofName    bool
	}{
		{"tag invalid: The image tag 'x' is immutable.", 0, imagestore.ErrTagFixed,
			errdef.RegistryTagFixed, true},
		{"denied: requested access to the resource is denied", 0, imagestore.ErrUnauthorized,
			errdef.RegistryUnauthorized, true},
		{"unauthorized: authentication required", 0, imagestore.ErrUnauthorized,
			errdef.RegistryUnauthorized, false},
		{"manifest blob unknown: blob unknown to registry", 404, nil, "", false},
		{"blob upload unknown to registry", 404, nil, "", false},
		{"denied: storage quota exceeded", 0, nil, "", false},
		{"error from registry: something went wrong", 0, nil, "", false},
		{"something went wrong", 0, nil, "", false},
		{"something went wrong", 409, nil, "", true},
		{"something went wrong", 302, nil, "", false},
		{"something went wrong", 401, imagestore.ErrUnauthorized, errdef.RegistryUnauthorized,
			false},
		{"something went wrong", 403, imagestore.ErrUnauthorized, errdef.RegistryUnauthorized,
			true},
		{"something went wrong", 413, nil, errdef.RegistryBodyLimit, false},
		{"something went wrong", 429, imagestore.ErrUnavailable, errdef.RegistryUnreachable, false},
		{"something went wrong", 501, imagestore.ErrUnavailable, errdef.RegistryUnreachable, false},
		{"unknown: ", 0, nil, "", true},
		{"manifest invalid: manifest invalid", 0, nil, "", true},
		{`error parsing HTTP 409 response body: invalid character 'x': "x"`, 0, nil, "", true},
		{`error parsing HTTP 429 response body: invalid character 'x': "x"`, 0,
			imagestore.ErrUnavailable, errdef.RegistryUnreachable, false},
		{"unexpected status from PUT request to http://r.example/v2/x/manifests/1: 409 Conflict", 0,
			nil, "", true},
		{"unexpected status from PUT request to http://r.example/v2/x/manifests/1: 500 Internal " +
			"Server Error", 0, imagestore.ErrUnavailable, errdef.RegistryUnreachable, false},
		{"received unexpected HTTP status: 500 Internal Server Error", 0,
			imagestore.ErrUnavailable, errdef.RegistryUnreachable, false},
	} {
		got := registry.RefusalOf(errors.New(c.text), c.status, "r.example/denied/x:1")
		if !errors.Is(got.Cause, c.cause) || got.Situation != c.situation ||
			got.OfName != c.ofName {
			t.Errorf("%d %q: %+v", c.status, c.text, got)
		}
	}
}
