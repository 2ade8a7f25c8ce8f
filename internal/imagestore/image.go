package imagestore

import "time"

// Kind says how a store keeps images, which decides what an image ID is.
type Kind string

const (
	// KindClassic is a graph driver's store: the ID is the config's digest.
	KindClassic Kind = "classic"
	// KindContainerd is containerd's store: the ID is the digest of the
	// manifest, or of the index if there is one.
	KindContainerd Kind = "containerd"
	// KindOCI is a Layout: the ID is the digest of the manifest, or of the
	// index of an image with attestations.
	KindOCI Kind = "oci"
)

// Image is one image as its store describes it.
type Image struct {
	ID       string            // digest, see Kind
	Tags     []string          // short form, as Docker prints them
	Labels   map[string]string // of the image's config
	Platform string            // linux/amd64, linux/arm/v7; "" from List, which is not told
	Size     int64             // bytes; the containerd store counts compressed content too
	Created  time.Time         // the image's own claim; zero if it makes none
}

// EngineInfo describes an engine, or what stands for one.
type EngineInfo struct {
	Version    string // the engine's, for example 29.1.3; of a layout the format's
	APIVersion string // the one agreed on with this client, for example 1.52; "" for a layout
	Kind       Kind
	Platform   string // what the engine runs on, linux/amd64 style
	OSType     string // linux or windows
	RootDir    string // where the engine keeps its data, on its own machine
}
