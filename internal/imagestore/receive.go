package imagestore

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// Source is an image outside the store whose layers can be read one by one.
type Source struct {
	// Descriptor is the manifest's; Manifest and Config are the documents.
	Descriptor       ocispec.Descriptor
	Manifest, Config []byte
	// Around is empty for an image alone. Else it is what attestations are made of, and last of all
	// the index of image and attestations: documents with their content in Data, each behind what
	// it leads to.
	Around []ocispec.Descriptor
	Open   func(ctx context.Context, layer ocispec.Descriptor) (io.ReadCloser, error)
}

// Given is an image that the store was given earlier, and the layers that came with it or were
// there by then.
type Given struct {
	ID     string
	Layers []string // digests of the blobs
}

// Via is a way for layers into an engine.
type Via string

const (
	// ViaLoad: they were streamed into the engine, in one archive.
	ViaLoad Via = "load"
	// ViaPull: the engine fetched them from this process.
	ViaPull Via = "pull"
)

// Received tells how an image came in.
type Received struct {
	// Image is what came, as the store describes it, and Kind the store's.
	Image Image
	Kind  Kind
	// Name is the temporary one: the reference that was meant for it, or another. The caller
	// removes it. It is empty for an image that was there already, unless an attempt that was
	// killed had left one.
	Name         string
	Bytes        int64 // of layers that were sent, in vain too
	Sent, Reused int   // layers
	// Via is the way that succeeded; empty if the image was there already.
	Via Via
	// Full says that nothing could be left out. Reason tells why something better was tried and did
	// not work.
	Full   bool
	Reason string
}

// of completes what was counted of an image: the layers that were not sent were there.
func (r Received) of(img parsed) Received {
	r.Reused = len(img.layers()) - r.Sent
	r.Full = r.Reused == 0
	return r
}

// Receive brings an image into the store under a temporary name, for which the reference is meant,
// leaving out the layers that the store has. To an image that is there already nothing is done. An
// engine that may be able to reach this process pulls the image from it; where that does not work,
// and into all others, it is loaded, and if the store turns out to lack a layer that was left out,
// all of them are sent. Received tells. onBytes hears of every byte of a layer that is sent, one
// call at a time; layers may be opened side by side. Errors are *Error, ErrUnavailable among them.
func (e *Engine) Receive(ctx context.Context, ref, platform string, src Source, given []Given,
	onBytes func(int)) (Received, error) {
	img, err := parseSource(src)
	if err != nil {
		return Received{}, &Error{Op: "load", Origin: OriginDocker, Ref: ref, Err: err}
	}
	asking, cancel := context.WithCancel(ctx)
	defer cancel()
	asked := e.askKind(asking)
	if got, ok := e.present(ctx, img); ok {
		got.Name = e.keepOneTemporary(ctx, got.Image, ref, "")
		return got.of(img), nil
	}
	l := &loading{engine: e, image: img, ref: ref, platform: platform, onBytes: onBytes}
	kind, err := asked()
	if err != nil {
		return Received{}, err
	}
	got, err := l.bring(ctx, kind, given)
	if err == nil {
		e.keepOneTemporary(ctx, got.Image, ref, got.Name)
	}
	got.Kind = kind
	return got, err
}

// askKind asks the engine at once; the answer can be had later.
func (e *Engine) askKind(ctx context.Context) func() (Kind, error) {
	var info EngineInfo
	var err error
	asked := make(chan struct{})
	go func() {
		defer close(asked)
		info, err = e.Info(ctx)
	}()
	return func() (Kind, error) {
		<-asked
		return info.Kind, err
	}
}

// present looks for the image under the IDs that it would have in one kind of store and in the
// other. That tells of which kind this one is, too: each knows its own ID alone.
func (e *Engine) present(ctx context.Context, img parsed) (Received, bool) {
	kinds := []Kind{KindClassic, KindContainerd}
	found := make([]bool, len(kinds))
	images := make([]Image, len(kinds))
	var asked sync.WaitGroup
	for i, kind := range kinds {
		asked.Go(func() { images[i], found[i] = e.has(ctx, img.id(kind)) })
	}
	asked.Wait()
	i := slices.Index(found, true)
	if i < 0 {
		return Received{}, false
	}
	return Received{Image: images[i], Kind: kinds[i]}, true
}

// bring gets an image that is not there into a store of that kind.
func (l *loading) bring(ctx context.Context, kind Kind, given []Given) (Received, error) {
	if !l.pullable(ctx, kind) {
		return l.deliver(ctx, kind, given, nil)
	}
	pulled, sent, err := l.pull(ctx)
	switch {
	case err == nil:
		return pulled, nil
	case ctx.Err() == nil && errors.Is(err, errSource):
		return pulled, &Error{Op: "pull", Origin: OriginDocker, Ref: l.ref, Err: err}
	case ctx.Err() != nil, brokenConnection(err), errors.Is(err, ErrUnavailable):
		return pulled, l.engine.fail(ctx, "pull", l.ref, err)
	case errors.Is(err, errUnpackedOnly):
		defer l.engine.forget(ctx, pulled.Name) // it keeps what came until the rest is there
	default:
		sent = nil // nothing keeps what came of an image that is not there
	}
	got, loadErr := l.deliver(ctx, kind, given, sent)
	got.Bytes += pulled.Bytes
	got.Reason = strings.TrimSuffix("not pulled by the engine: "+err.Error()+"; "+got.Reason, "; ")
	got.Sent += len(sent)
	return got.of(l.image), loadErr
}

// keepOneTemporary removes the names that the image was given for this reference by those who did
// not come to remove them. One is kept and returned, which may be the last that the image has: the
// one given, or any.
func (e *Engine) keepOneTemporary(ctx context.Context, img Image, ref, name string) string {
	for _, tag := range img.Tags {
		pulledFor, _ := CutLoopback(tag)
		switch {
		case tag == name, tag != ref && pulledFor != ref:
		case name == "":
			name = tag
		default:
			e.forget(ctx, tag)
		}
	}
	return name
}

// deliver loads the image without the layers that the store has, and if that was not so with all of
// them. The store has those that came with the image a moment ago in any case.
func (l *loading) deliver(ctx context.Context, kind Kind, given []Given,
	came map[digest.Digest]bool) (Received, error) {
	held, err := l.engine.held(ctx, kind, l.image, given)
	if err != nil {
		return Received{}, err
	}
	maps.Copy(held, came)
	partial := slices.ContainsFunc(l.image.manifest.Layers, func(d ocispec.Descriptor) bool {
		return held[d.Digest]
	})
	got, err := l.load(ctx, held)
	if err == nil || !partial || l.broken != nil || ctx.Err() != nil ||
		errors.Is(err, ErrUnavailable) {
		return got, err
	}
	// The store took the archive amiss, so it lacks what we thought it had. It may have left the
	// name behind.
	_ = l.engine.Untag(ctx, l.ref)
	inVain, reason := got.Bytes, err.Error()
	got, err = l.load(ctx, nil)
	got.Bytes += inVain
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
		return p, fmt.Errorf("%d layers in the manifest and %d in the config",
			len(p.manifest.Layers), len(p.diffIDs))
	}
	return p, nil
}

// id is what a store of that kind calls the image.
func (p parsed) id(k Kind) string {
	if k == KindContainerd {
		return p.root().Digest.String()
	}
	return p.manifest.Config.Digest.String()
}

// layers are the manifest's, each once.
func (p parsed) layers() []ocispec.Descriptor {
	seen := map[digest.Digest]bool{}
	return slices.DeleteFunc(slices.Clone(p.manifest.Layers), func(l ocispec.Descriptor) bool {
		again := seen[l.Digest]
		seen[l.Digest] = true
		return again
	})
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
	err := l.engine.Load(ctx, r, l.platformToLoad())
	if err == nil {
		a.got.Name = l.ref
		a.got.Image, err = l.loaded(ctx)
	}
	_ = r.Close()
	cancel()
	if wrote := <-done; wrote != nil && a.unread {
		l.broken = wrote
	}
	a.got.Via = ViaLoad
	return a.got.of(l.image), err
}
