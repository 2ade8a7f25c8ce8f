package imagestore

import "git.moleculesai.app/molecule-ai/pinion/buildkit"

// Transfer is an image on its way into a store.
type Transfer struct {
	// Image is what the builder made. Its reference is meant for a temporary name, see
	// [Result.Name].
	Image buildkit.Solved
	// Platform is the image's, for example linux/amd64. A layout ignores it.
	Platform string
	// Earlier returns images that the store received earlier, the likeliest first. Their layers are
	// left out if the store still has the images. It may be nil, and is called only by a store that
	// cannot list its layers.
	Earlier func() []LayerSet
	// OnBytes is called with the size of each part of a layer that is sent, one call at a time.
	OnBytes func(n int)
}

// LayerSet is an image, and the layers that the store had once it had received the image.
type LayerSet struct {
	ImageID string
	Layers  []string // digests of the blobs
}

// Result describes how an image came in.
type Result struct {
	// Image is the image as the store describes it, and Kind the store's.
	Image Image
	Kind  Kind
	// Name is the image's temporary name: the reference of the transfer, or another one. The
	// caller removes it. It is empty for an image that was there already, unless a killed attempt
	// left a name.
	Name string
	// Delivery counts what was sent, including failed attempts. Via is the way that succeeded.
	buildkit.Delivery
}

// Push is an image on its way to a registry.
type Push struct {
	ID  string // of the image in the store
	Ref string // the name, with a tag, that it gets in the registry
	// Known is the digest of a manifest of the image that the repository has, from an earlier push
	// under another name, or "".
	Known string
}

// Progress is a step of a pull or a push. There is one whenever a layer changes its state or more
// of its bytes have moved.
type Progress struct {
	// Status is one line, unsanitised, if the state of a layer or of the whole has changed.
	Status string
	// Bytes have come from the registry, or gone to it, so far.
	Bytes int64
	// Unpacking reports whether all layers have come. Engines may be silent while they unpack.
	Unpacking bool
}
