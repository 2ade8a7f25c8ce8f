package buildcache

import (
	"errors"
	"strings"
	"testing"

	"git.moleculesai.app/molecule-ai/pinion/resolver"
)

func TestParseSpec(t *testing.T) {
	for spec, want := range map[string]Spec{
		"auto":                              {Place: Auto},
		"off":                               {Place: Off},
		"local":                             {Place: Local},
		"registry:127.0.0.1:5000/cache":     {Registry, "127.0.0.1:5000/cache"},
		"registry:localhost/cache":          {Registry, "localhost/cache"},
		"registry:docker.io/someone/cache":  {Registry, "docker.io/someone/cache"},
		"registry:registry.example.com/a/b": {Registry, "registry.example.com/a/b"},
	} {
		if got, err := ParseSpec(spec); err != nil || got != want {
			t.Errorf("%s: %+v, %v", spec, got, err)
		}
	}
	for _, spec := range []string{
		"", "on", "Local", "registry", "registry:", "registry:cache", "registry:someone/cache",
		"registry:localhost:5000",
		"registry:example.com/cache:tag", "registry:example.com/cache@sha256:" +
			strings.Repeat("a", 64), "registry:example.com/Cache",
		"registry:https://example.com/cache", "registry:example.com/../cache",
		"registry:-example.com/cache", "registry:example.com/a,mode=min",
		"local:/somewhere", "registry:example.com/a\n",
	} {
		if got, err := ParseSpec(spec); !errors.Is(err, resolver.ErrInvalidInput) {
			t.Errorf("%q: %+v, %v", spec, got, err)
		}
	}
}
