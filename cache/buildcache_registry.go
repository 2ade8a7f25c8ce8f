package cache

// RegistryCache is BuildKit's cache of one line of recipes in a registry. Each commit has a tag,
// and a tag of the line's own points to what was exported last, since a new machine knows of no
// earlier commit. Retention is the registry's.
//
// BuildKit believes what is in it: whoever can push there can put layers into images.
type RegistryCache struct {
	repository, line string
}

// NewRegistryCache is the cache of a line in a repository, such as
// registry.example.com/cache/image.
func NewRegistryCache(repository, line string) RegistryCache {
	return RegistryCache{repository, line[:min(12, len(line))]}
}

// Imports returns what a builder may import for a commit: its own tag, then the line's. One that is
// not there is no error to BuildKit.
func (c RegistryCache) Imports(revision string) (imports []BuildKitEntry) {
	for _, ref := range c.references(revision) {
		imports = append(imports, BuildKitEntry{Type: "registry",
			Attrs: map[string]string{"ref": ref}})
	}
	return imports
}

// Exports returns what a builder exports a commit's cache to, the line's tag last.
func (c RegistryCache) Exports(revision string) (exports []BuildKitEntry) {
	for _, ref := range c.references(revision) {
		exports = append(exports, BuildKitEntry{Type: "registry", Attrs: map[string]string{
			// The builder has the layers uncompressed, for delivering them, and would send them so.
			"ref": ref, "mode": "max", "compression": "zstd", "force-compression": "true",
			"oci-mediatypes": "true", "image-manifest": "true",
		}})
	}
	return exports
}

// The line is in both tags, so that recipes which differ (in platform or target) do not take each
// other's place.
func (c RegistryCache) references(revision string) []string {
	return []string{c.repository + ":" + revision + "-" + c.line, c.repository + ":latest-" +
		c.line}
}
