package cache

// RegistryCache is BuildKit's cache of one line of recipes in a registry. Each commit has a tag,
// and the line has a tag that points to the last export, since a new machine knows no earlier
// commit. The registry removes old entries.
//
// BuildKit does not verify the content: a user who can push there can put layers into images.
type RegistryCache struct {
	repository, line string
}

// NewRegistryCache returns the cache of a line in a repository, such as
// registry.example.com/cache/image.
func NewRegistryCache(repository, line string) RegistryCache {
	return RegistryCache{repository, line[:min(12, len(line))]}
}

// Imports returns what a builder may import for a commit: its own tag, then the line's. BuildKit
// takes a missing one for no error.
func (c RegistryCache) Imports(revision string) (imports []BuildKitEntry) {
	for _, ref := range c.references(revision) {
		imports = append(imports, BuildKitEntry{Type: "registry",
			Attrs: map[string]string{"ref": ref}})
	}
	return imports
}

// Exports returns where a builder exports a commit's cache to, the line's tag last.
func (c RegistryCache) Exports(revision string) (exports []BuildKitEntry) {
	for _, ref := range c.references(revision) {
		exports = append(exports, BuildKitEntry{Type: "registry", Attrs: map[string]string{
			// The builder has the layers uncompressed, for the delivery, and would send them as
			// they are.
			"ref": ref, "mode": "max", "compression": "zstd", "force-compression": "true",
			"oci-mediatypes": "true", "image-manifest": "true",
		}})
	}
	return exports
}

// references has the line in both tags, so that recipes that differ in platform or target do not
// overwrite each other.
func (c RegistryCache) references(revision string) []string {
	return []string{
		c.repository + ":" + revision + "-" + c.line,
		c.repository + ":latest-" + c.line,
	}
}
