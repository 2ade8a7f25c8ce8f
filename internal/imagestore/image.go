package imagestore

import (
	"time"

	"github.com/containerd/platforms"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// Kind says how a store keeps images, which decides what an image ID is.
type Kind string

const (
	// KindClassic is a graph driver's store. The ID is the config's digest.
	KindClassic Kind = "classic"
	// KindContainerd is containerd's store. The ID is the digest of the manifest, or of the index
	// if there is one.
	KindContainerd Kind = "containerd"
	// KindOCI is an OCI image layout. The ID is the digest of the manifest, or of the index of an
	// image with attestations.
	KindOCI Kind = "oci"
)

// Image is one image as its store describes it.
type Image struct {
	ID       string            // digest, see Kind
	Tags     []string          // short form, as Docker prints them
	Labels   map[string]string // of the image's config
	Platform string            // linux/amd64, linux/arm/v7; "" from List of an engine
	Size     int64             // bytes; the containerd store counts compressed content too
	Layers   int               // from Inspect of an engine
	Kind     Kind              // KindContainerd from Inspect of such an engine (API 1.48), or ""
	Created  time.Time         // the image's own claim; zero if it makes none
	// Parts are the sizes of what the image consists of in bytes, by names that are the same in all
	// images that have the part. Size is their sum. nil if the store does not tell.
	Parts map[string]int64
	// Shape is a digest of the image's configuration for containers and of the number of its
	// layers. It is "" if the store does not report them, and from List.
	Shape string
}

// EngineInfo describes an engine, or a layout.
type EngineInfo struct {
	Version    string // the engine's, for example 29.1.3; of a layout the format's
	APIVersion string // agreed on with this client, for example 1.52; "" for a layout
	Kind       Kind
	Platform   string // what the engine runs on, linux/amd64 style
	OSType     string // linux or windows
	RootDir    string // where the engine keeps its data, on its own machine
	// Driver is how the engine unpacks layers, for example overlay2; "" for a layout.
	Driver string
	// MaxLayers is the greatest number of layers of an image that containers can have; 0 if there
	// is no limit that anybody meets.
	MaxLayers int
	// ID distinguishes the store from another one that answers at the same address. "" for a
	// layout that has no images yet.
	ID string
}

// Use is a container, running or not, and the image that it was made from.
type Use struct {
	Container string // its name, or its ID if it has none
	// Images are the digests by which the engine names the image: its ID, and
	// on the containerd store also the manifest of the platform that runs.
	Images []string
}

// FormatPlatform returns the normal form: linux/arm64/v8 is linux/arm64, and linux/arm is
// linux/arm/v7. It returns "" for an image that names no platform.
func FormatPlatform(os, arch, variant string) string {
	if os == "" || arch == "" {
		return ""
	}
	return platforms.Format(platforms.Normalize(ocispec.Platform{OS: os, Architecture: arch,
		Variant: variant}))
}
