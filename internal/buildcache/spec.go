// Package buildcache decides which saved BuildKit caches a build is offered, and saves the build's
// own cache after the caller has the image.
//
// A build needs no cache: a failure here is a warning or a log line, never the build's error.
// Where the caches lie, and how many stay, is decided by package cache.
package buildcache

import (
	"fmt"
	"strings"

	"github.com/distribution/reference"

	"git.moleculesai.app/molecule-ai/pinion/buildkit"
	"git.moleculesai.app/molecule-ai/pinion/resolver"
)

// Place is where build caches are kept.
type Place string

// The places.
const (
	// Auto is Local for a builder of its own and Off for a Docker engine's BuildKit, which keeps
	// its cache as long as its images.
	Auto Place = "auto"
	// Off neither saves nor reads anything.
	Off Place = "off"
	// Local is a folder in the cache folder.
	Local Place = "local"
	// Registry is a repository in a registry.
	Registry Place = "registry"
)

// Spec is a checked setting.
type Spec struct {
	Place      Place
	Repository string // for Registry, without tag
}

// ParseSpec reads auto, off, local or registry:HOST/REPOSITORY. The error is of kind
// [resolver.ErrInvalidInput].
func ParseSpec(s string) (Spec, error) {
	name, isRegistry := strings.CutPrefix(s, string(Registry)+":")
	if !isRegistry {
		switch p := Place(s); p {
		case Auto, Off, Local:
			return Spec{Place: p}, nil
		}
		return Spec{}, fmt.Errorf("%w: build cache %q: write auto, off, local or "+
			"registry:HOST/REPOSITORY", resolver.ErrInvalidInput, s)
	}
	named, err := reference.ParseNamed(name)
	if err != nil || !reference.IsNameOnly(named) {
		return Spec{}, fmt.Errorf("%w: build cache %q: write registry:HOST/REPOSITORY, in lower "+
			"case, without tag or digest", resolver.ErrInvalidInput, s)
	}
	return Spec{Place: Registry, Repository: named.Name()}, nil
}

// placeFor returns the place for a builder of that kind, which is not Auto.
func (s Spec) placeFor(kind buildkit.Kind) Place {
	switch {
	case s.Place != Auto:
		return s.Place
	case kind == buildkit.KindDocker:
		return Off
	default:
		return Local
	}
}
