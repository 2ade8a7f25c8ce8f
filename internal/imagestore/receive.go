package imagestore

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// Source is an image outside the store whose layers can be read one by one.
type Source struct {
	// Descriptor is the manifest's; Manifest and Config are the documents.
	Descriptor       ocispec.Descriptor
	Manifest, Config []byte
	Open             func(ctx context.Context, layer ocispec.Descriptor) (io.ReadCloser, error)
}

// Given is an image that the store was given earlier, and the layers that came with it or were there by then.
type Given struct {
	ID     string
	Layers []string // digests of the blobs
}

// Received tells how an image came in.
type Received struct {
	Bytes        int64 // of layers that were sent
	Sent, Reused int   // layers
	// Full says that nothing could be left out; Reason why that was so if it was tried.
	Full   bool
	Reason string
}

// Receive brings an image into the store under the reference, leaving out the layers that the store has. An
// image that is there already is only tagged. If the store turns out to lack a layer that was left out, all of
// them are sent, and Received.Reason tells. onBytes hears of every byte of a layer that is sent. kind is the
// store's, see Info. Errors are *Error, ErrUnavailable among them.
func (e *Engine) Receive(ctx context.Context, kind Kind, ref, platform string, src Source, given []Given, onBytes func(int)) (Received, error) {
	img, err := parseSource(src)
	if err != nil {
		return Received{}, &Error{Op: "load", Origin: OriginDocker, Ref: ref, Err: err}
	}
	if id := img.id(kind); e.has(ctx, id) {
		return Received{Reused: len(img.manifest.Layers)}, e.Tag(ctx, id, ref)
	}
	held, err := e.held(ctx, kind, img, given)
	if err != nil {
		return Received{}, err
	}
	l := &loading{engine: e, image: img, ref: ref, platform: platform, onBytes: onBytes}
	got, err := l.load(ctx, held)
	if err == nil || got.Reused == 0 || l.broken != nil || ctx.Err() != nil || errors.Is(err, ErrUnavailable) {
		return got, err
	}
	// The store took the archive amiss, so it lacks what we thought it had. It may have left the name behind.
	_ = e.Untag(ctx, ref)
	reason := err.Error()
	got, err = l.load(ctx, nil)
	got.Reason = reason
	return got, err
}

// parsed is a Source that makes sense.
type parsed struct {
	Source
	manifest ocispec.Manifest
	diffIDs  []digest.Digest
}

func parseSource(src Source) (parsed, error) {
	p := parsed{Source: src}
	var config ocispec.Image
	if err := json.Unmarshal(src.Manifest, &p.manifest); err != nil {
		return p, fmt.Errorf("manifest: %w", err)
	}
	if err := json.Unmarshal(src.Config, &config); err != nil {
		return p, fmt.Errorf("config: %w", err)
	}
	p.diffIDs = config.RootFS.DiffIDs
	if len(p.diffIDs) != len(p.manifest.Layers) {
		return p, fmt.Errorf("%d layers in the manifest and %d in the config", len(p.manifest.Layers), len(p.diffIDs))
	}
	return p, nil
}

// id is what a store of that kind calls the image.
func (p parsed) id(k Kind) string {
	if k == KindContainerd {
		return p.Descriptor.Digest.String()
	}
	return p.manifest.Config.Digest.String()
}

func (e *Engine) has(ctx context.Context, id string) bool {
	img, err := e.Inspect(ctx, id)
	return err == nil && img.ID == id
}

// loading is one image on its way into the engine.
type loading struct {
	engine   *Engine
	image    parsed
	ref      string
	platform string
	onBytes  func(int)
	// broken is the source's failure, which sending more does not mend.
	broken error
}

func (l *loading) load(ctx context.Context, held map[digest.Digest]bool) (Received, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	r, w := io.Pipe()
	a := &archive{w: w, image: l.image, ref: l.ref, held: held, onBytes: l.onBytes}
	done := make(chan error, 1)
	go func() {
		err := a.write(ctx)
		_ = w.CloseWithError(err) // never fails; nil is the end of the archive
		done <- err
	}()
	err := l.engine.Load(ctx, r, l.platform)
	_ = r.Close()
	cancel()
	if wrote := <-done; wrote != nil && a.unread {
		l.broken = wrote
	}
	a.got.Full = a.got.Reused == 0
	return a.got, err
}
