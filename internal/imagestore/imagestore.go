package imagestore

import (
	"context"
	"io"
)

// Store is an image store. It is safe for concurrent use. All errors are *Error.
//
// Some stores can do more, and callers ask for that by a type assertion: a [RegistryReader], a
// [Remover], a [Folder], a [ChangeReporter], a buildkit.Engine (an engine with a BuildKit of its
// own), and a store with the method Client() *client.Client, which runs containers.
type Store interface {
	// Endpoint is the store's address. Records name the store by it. It holds no password.
	Endpoint() string
	// Info describes the store.
	Info(ctx context.Context) (EngineInfo, error)
	Inspector
	Tagger
	Receiver
	Lister
	Puller
	Pusher
}

// Inspector describes single images. A missing image is ErrNotFound, and one that the store cannot
// describe is ErrUnreadable.
type Inspector interface {
	// Inspect describes the image that a tag or an ID names.
	Inspect(ctx context.Context, ref string) (Image, error)
	// InspectPlatform is Inspect for one platform of a multi-platform image, if the store can tell
	// them apart. Otherwise it is Inspect. The caller compares Image.Platform.
	InspectPlatform(ctx context.Context, ref, platform string) (Image, error)
}

// Tagger gives and removes names. A missing image or name is ErrNotFound.
type Tagger interface {
	// Tag makes ref name the image with this ID. It takes an ID and not a name, so that the image
	// that was verified gets the tag.
	Tag(ctx context.Context, id, ref string) error
	// Untag removes one name with a tag. The image goes with its last name, unless a container
	// uses it.
	Untag(ctx context.Context, ref string) error
}

// Receiver takes images that a builder outside the store made.
type Receiver interface {
	// Receive brings an image into the store and leaves out the layers that the store has. If the
	// image already exists, Receive sends nothing.
	Receive(ctx context.Context, t Transfer) (Result, error)
	// Load streams an archive into the store. If archive fails, the error wraps its error.
	// platform may be "".
	Load(ctx context.Context, archive io.Reader, platform string) error
}

// Lister lists images and the containers that use them.
type Lister interface {
	// List describes the images that carry a label, with any value, or all images for "".
	List(ctx context.Context, labelKey string) ([]Image, error)
	// Uses lists all containers, including the stopped ones.
	Uses(ctx context.Context) ([]Use, error)
}

// Puller fetches images from registries.
type Puller interface {
	// Pull fetches ref for a platform, "" for the store's own. progress may be nil. A store that
	// cannot pull returns errors.ErrUnsupported.
	Pull(ctx context.Context, ref, platform string, progress func(Progress)) error
}

// RegistryReader is a store that can ask registries.
type RegistryReader interface {
	// PublishedDigest returns the digest of the manifest that ref names in its registry.
	PublishedDigest(ctx context.Context, ref string) (string, error)
}

// Pusher sends images to registries.
type Pusher interface {
	// Push sends an image to a registry, and returns the digest of the manifest that the registry
	// shows under its name afterwards. progress may be nil; it is called once at a time. A registry
	// that refuses the push and has this very image under the name is no failure. If it has another
	// image there, the error wraps a [TakenError].
	Push(ctx context.Context, p Push, progress func(Progress)) (digest string, err error)
}

// ChangeReporter is a store, an engine, that reports changes faster than it inspects an image.
type ChangeReporter interface {
	// LastChange returns what differs after each change of an image or a name that the store
	// reports, from before the request that made it has returned. It is "" if none is known, or if
	// the store does not report enough. A store may leave out changes that fail half-way, and
	// removals of parts of an image.
	LastChange(ctx context.Context) (change string, err error)
}

// Remover is a store in which an image may be without a name.
type Remover interface {
	// Remove removes the image with this ID, unforced. It refuses one that has a name.
	Remove(ctx context.Context, id string) error
}

// Folder is a store that may be removed or replaced while it is open.
type Folder interface {
	// Exists reports whether the store's path still leads to the store.
	Exists() bool
}
