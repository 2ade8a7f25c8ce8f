package pinion

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/containerd/containerd/v2/core/content"
	"github.com/distribution/reference"

	"git.moleculesai.app/molecule-ai/pinion/buildkit"
	"git.moleculesai.app/molecule-ai/pinion/cache"
)

// What [WithBuildCache] takes.
const (
	// BuildCacheAuto is BuildCacheLocal for a builder of its own and BuildCacheOff for a Docker
	// engine's BuildKit, which keeps its cache as long as its images.
	BuildCacheAuto = "auto"
	// BuildCacheOff neither saves nor reads anything.
	BuildCacheOff = "off"
	// BuildCacheLocal uses a folder in the cache folder.
	BuildCacheLocal = "local"
	// BuildCacheRegistry stands before a repository's name, without tag, such as
	// registry.example.com/build-cache.
	BuildCacheRegistry = "registry:"
)

// buildCacheSpec is the checked form.
type buildCacheSpec struct {
	kind       string
	repository string // for BuildCacheRegistry
}

func parseBuildCache(s string) (buildCacheSpec, error) {
	name, isRegistry := strings.CutPrefix(s, BuildCacheRegistry)
	if !isRegistry {
		switch s {
		case BuildCacheAuto, BuildCacheOff, BuildCacheLocal:
			return buildCacheSpec{kind: s}, nil
		}
		return buildCacheSpec{},
			fmt.Errorf("%w: build cache %q: write auto, off, local or registry:HOST/REPOSITORY",
				ErrInvalidInput, s)
	}
	named, err := reference.ParseNamed(name)
	if err != nil || !reference.IsNameOnly(named) {
		return buildCacheSpec{},
			fmt.Errorf("%w: build cache %q: write registry:HOST/REPOSITORY, in lower case, "+
				"without tag or digest", ErrInvalidInput, s)
	}
	return buildCacheSpec{kind: BuildCacheRegistry, repository: named.Name()}, nil
}

// at settles what auto means with a builder.
func (s buildCacheSpec) at(kind buildkit.Kind) string {
	switch {
	case s.kind != BuildCacheAuto:
		return s.kind
	case kind == buildkit.KindDocker:
		return BuildCacheOff
	default:
		return BuildCacheLocal
	}
}

// CacheReceipt tells which saved caches a builder was offered.
type CacheReceipt struct {
	// From is "local" or "registry".
	From string `json:"from"`
	// Imported are the commits, or for a registry the references, in the order in which BuildKit
	// asks them.
	Imported []string `json:"imported"`
}

// sharedCache is what one build has to do with the cache that builders share.
type sharedCache struct {
	kind     string
	folder   *cache.BuildCache // for BuildCacheLocal
	registry cache.RegistryCache
	imports  []buildkit.CacheEntry
	// named are the entries that the caller gave, and stores the folders of those of the type
	// local.
	named    []buildkit.CacheEntry
	stores   map[string]content.Store
	release  func()
	warnings []string
}

// sharedCache opens the cache of this line. Whatever fails is a warning: a build needs no cache.
// The caller releases it.
func (j *job) sharedCache(ctx context.Context, b solver) *sharedCache {
	s := &sharedCache{kind: j.o.buildCache.at(b.Info().Kind), stores: map[string]content.Store{},
		release: func() {}}
	if j.tree != nil {
		s.kind = BuildCacheOff // it goes by commits
	}
	switch s.kind {
	case BuildCacheLocal:
		if err := s.open(ctx, j); err != nil {
			s.kind = BuildCacheOff
			s.warnings = append(s.warnings, fmt.Sprintf("the build cache cannot be used: %v", err))
		}
	case BuildCacheRegistry:
		s.registry = cache.NewRegistryCache(j.o.buildCache.repository+"/"+j.template.Image,
			j.recipe.line())
		s.imports = entries(s.registry.Imports(j.recipe.Revision))
	}
	if j.ask.noCache {
		s.imports = nil
		return s
	}
	s.offer(j.caches.from)
	return s
}

// all are the imports, those of the caller last.
func (s *sharedCache) all() []buildkit.CacheEntry { return slices.Concat(s.imports, s.named) }

func (s *sharedCache) open(ctx context.Context, j *job) error {
	dir, err := j.o.records()
	if err != nil {
		return err
	}
	if s.folder, err = dir.BuildCache(j.recipe.line()); err != nil {
		return err
	}
	imports, warnings, release, err := s.folder.Imports(ctx, j.recipe.Revision)
	s.imports, s.warnings, s.release = entries(imports), warnings, release
	return err
}

func (s *sharedCache) receipt() *CacheReceipt {
	if len(s.imports) == 0 {
		return nil
	}
	r := &CacheReceipt{From: strings.TrimSuffix(s.kind, ":")}
	for _, e := range s.imports {
		r.Imported = append(r.Imported, e.Attrs["tag"]+e.Attrs["ref"]) // an entry has one of them
	}
	return r
}

func entries(of []cache.BuildKitEntry) (out []buildkit.CacheEntry) {
	for _, e := range of {
		out = append(out, buildkit.CacheEntry(e))
	}
	return out
}
