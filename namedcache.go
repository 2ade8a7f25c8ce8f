package pinion

import (
	"cmp"
	"context"
	"encoding/csv"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/containerd/containerd/v2/core/content"
	contentlocal "github.com/containerd/containerd/v2/plugins/content/local"
	"github.com/distribution/reference"
	"github.com/moby/buildkit/client/ociindex"
	"github.com/opencontainers/go-digest"

	"git.moleculesai.app/molecule-ai/pinion/buildkit"
)

// CacheFrom offers the builder a cache besides those of [WithBuildCache]: an entry as `docker
// buildx build --cache-from` takes it, of the type registry or local, or a reference alone. One
// that is not there is a warning. BuildKit believes what is in a cache: whoever can write there can
// put layers into images. A hit asks for none.
func CacheFrom(entry string) EnsureOption {
	return func(a *ask) { a.cacheFrom = append(slices.Clone(a.cacheFrom), entry) }
}

// CacheTo has the builder save its cache there besides, if something is built: an entry as `docker
// buildx build --cache-to` takes it, of the type registry or local. It is saved after the image is
// there, [Orchestrator.Close] waits for it, and a failure is logged.
func CacheTo(entry string) EnsureOption {
	return func(a *ask) { a.cacheTo = append(slices.Clone(a.cacheTo), entry) }
}

// namedCaches are the entries that one caller gave.
type namedCaches struct{ from, to []buildkit.CacheEntry }

func (a ask) namedCaches() (n namedCaches, err error) {
	for _, s := range a.cacheFrom {
		e, err := parseCacheEntry(s, false)
		if err != nil {
			return n, err
		}
		n.from = append(n.from, e)
	}
	for _, s := range a.cacheTo {
		e, err := parseCacheEntry(s, true)
		if err != nil {
			return n, err
		}
		n.to = append(n.to, e)
	}
	return n, nil
}

// cacheKeys are those of each type, the one that has to be there first (BuildKit, README, "Export
// cache").
func cacheKeys(export bool) map[string][]string {
	if !export {
		return map[string][]string{"registry": {"ref"}, "local": {"src", "tag", "digest"}}
	}
	how := []string{"mode", "compression", "compression-level", "force-compression",
		"oci-mediatypes", "image-manifest", "ignore-error"}
	return map[string][]string{"registry": append([]string{"ref"}, how...),
		"local": append([]string{"dest", "tag"}, how...)}
}

// parseCacheEntry reads the CSV of buildx strictly.
func parseCacheEntry(s string, export bool) (buildkit.CacheEntry, error) {
	e := buildkit.CacheEntry{Attrs: map[string]string{}}
	wrong := func(format string, args ...any) (buildkit.CacheEntry, error) {
		return e, fmt.Errorf("%w: cache %q: %s", ErrInvalidInput, s, fmt.Sprintf(format, args...))
	}
	fields, err := csv.NewReader(strings.NewReader(s)).Read()
	if err != nil {
		return wrong("write type=registry,ref=... or type=local,...")
	}
	if len(fields) == 1 && !strings.Contains(fields[0], "=") {
		fields = []string{"type=registry", "ref=" + fields[0]}
	}
	for _, field := range fields {
		key, value, ok := strings.Cut(field, "=")
		if _, twice := e.Attrs[key]; !ok || twice || value == "" || key == "type" && e.Type != "" {
			return wrong("%q is no key=value, or has a key that was there already", field)
		}
		if key == "type" {
			e.Type = value
			continue
		}
		e.Attrs[key] = value
	}
	known, ok := cacheKeys(export)[e.Type]
	if !ok {
		return wrong("type %q: registry and local are the types that Pinion knows", e.Type)
	}
	for key := range e.Attrs {
		if !slices.Contains(known, key) {
			return wrong("%q: type=%s takes %s", key, e.Type, strings.Join(known, ", "))
		}
	}
	place := e.Attrs[known[0]]
	if place == "" {
		return wrong("type=%s needs %s", e.Type, known[0])
	}
	if _, err := reference.ParseNormalizedNamed(place); e.Type == "registry" && err != nil {
		return wrong("%s is no reference: %v", known[0], err)
	}
	if mode := e.Attrs["mode"]; mode != "" && mode != "min" && mode != "max" {
		return wrong("mode is min or max")
	}
	return e, nil
}

// offer adds the entries that can be had, and says of the others why not. BuildKit finds a
// registry's by itself.
func (s *sharedCache) offer(from []buildkit.CacheEntry) {
	for _, e := range from {
		if e.Type == "local" {
			store, err := openNamed(e)
			if err != nil {
				s.warnings = append(s.warnings,
					fmt.Sprintf("the build cache in %s was not used: %v", e.Attrs["src"], err))
				continue
			}
			s.stores[e.Attrs["src"]] = store
		}
		s.named = append(s.named, e)
	}
}

// openNamed settles the digest of a folder's entry.
func openNamed(e buildkit.CacheEntry) (content.Store, error) {
	dir := e.Attrs["src"]
	if _, err := os.Stat(dir); err != nil {
		return nil, err
	}
	if e.Attrs["digest"] == "" {
		tag := cmp.Or(e.Attrs["tag"], "latest")
		index := ociindex.NewStoreIndex(dir)
		desc, err := index.Get(tag)
		if err != nil {
			return nil, err
		}
		if desc == nil {
			return nil, fmt.Errorf("there is no %s in it", tag)
		}
		e.Attrs["digest"] = desc.Digest.String()
	}
	if _, err := digest.Parse(e.Attrs["digest"]); err != nil {
		return nil, err
	}
	return contentlocal.NewStore(dir)
}

// saveNamed saves to where one caller wants it.
func (j *job) saveNamed(ctx context.Context, b solver, what buildkit.CacheSave,
	to buildkit.CacheEntry) error {
	attrs := maps.Clone(to.Attrs)
	delete(attrs, "tag")
	what.Exports = []buildkit.CacheEntry{{Type: to.Type, Attrs: attrs}}
	if to.Type != "local" {
		_, err := b.SaveCache(ctx, what)
		return err
	}
	dir := attrs["dest"]
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	store, err := contentlocal.NewStore(dir)
	if err != nil {
		return err
	}
	what.Stores = maps.Clone(what.Stores)
	what.Stores[dir] = store
	desc, err := b.SaveCache(ctx, what)
	if err != nil {
		return err
	}
	return ociindex.NewStoreIndex(dir).Put(desc, ociindex.Tag(cmp.Or(to.Attrs["tag"], "latest")))
}
