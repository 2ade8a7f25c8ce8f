package registry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"

	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"

	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore"
)

const (
	// atOnce is how many blobs are looked for at a time.
	atOnce = 4
	// mostRounds is how often what is missing is sent, if the registry loses uploads.
	mostRounds = 3
)

// Push sends an image under the reference of Open, and nothing of it that the registry has. It
// returns the digest that the registry shows under the reference afterwards, which is the root's.
// progress is that of imagestore.Pusher.
//
// Errors are *imagestore.Error if the registry failed: ErrUnauthorized, ErrNotFound,
// ErrUnavailable, ErrTagFixed, and an *imagestore.TakenError if the name is fixed and stands for
// another image. Any other error says that the content cannot be read.
func (r *Repository) Push(
	ctx context.Context, c Content, progress func(imagestore.Progress),
) (digest.Digest, error) {
	root := c.Root().Digest
	if shown, err := r.head(ctx, r.named); err == nil && shown.Digest == root {
		return root, nil
	}
	report, end := r.report(progress)
	defer end()
	err := r.sendBlobs(ctx, c, report)
	if broken, ok := errors.AsType[sourceError](err); ok {
		return "", broken.error
	}
	if err != nil {
		return "", r.fail("push", err)
	}
	for _, m := range c.Manifests[:len(c.Manifests)-1] {
		if err := r.putManifest(ctx, m.Digest.String(), m); err != nil {
			return "", r.fail("push", err)
		}
	}
	return root, r.Name(ctx, c.Root())
}

// Name makes the reference of Open stand for a manifest, whose parts the repository has. The
// content is in Data. Errors are those of Push.
func (r *Repository) Name(ctx context.Context, m ocispec.Descriptor) error {
	tagged, ok := reference.TagNameOnly(r.named).(reference.NamedTagged)
	if !ok {
		return r.fail("push", fmt.Errorf("%s has no tag", r.named))
	}
	if err := r.putManifest(ctx, tagged.Tag(), m); err != nil {
		return r.refused(ctx, m.Digest, err)
	}
	shown, err := r.head(ctx, r.named)
	if err == nil && shown.Digest != m.Digest {
		err = fmt.Errorf("the registry shows %s where %s was pushed; another push may have "+
			"replaced it", shown.Digest, m.Digest)
		return &imagestore.Error{Op: "push", Origin: imagestore.OriginRegistry,
			Ref: r.named.String(), Err: err}
	}
	return r.fail("push", err)
}

// refused looks at what the name stands for that the registry refused to give to a manifest.
func (r *Repository) refused(ctx context.Context, d digest.Digest, err error) error {
	failed := r.fail("push", err)
	if !r.refusal(err).OfName {
		return failed
	}
	has, err := r.head(ctx, r.named)
	switch {
	case err != nil:
		return failed // nothing is there, or nobody knows
	case has.Digest == d:
		return nil
	}
	found, _ := r.Describe(ctx, has.Digest) // what cannot be read has no labels
	return Taken(failed, has.Digest, found.Labels)
}

// Taken is a refusal, an *imagestore.Error, of a name that stands for another image.
func Taken(refused error, has digest.Digest, labels map[string]string) error {
	at, ok := errors.AsType[*imagestore.Error](refused)
	if !ok {
		return refused
	}
	return &imagestore.Error{Op: at.Op, Origin: at.Origin, Ref: at.Ref,
		Err: &imagestore.TakenError{Digest: has.String(), Labels: labels, Err: at.Err}}
}

func (r *Repository) putManifest(ctx context.Context, ref string, m ocispec.Descriptor) error {
	resp, err := r.ask(ctx, message{method: http.MethodPut, url: r.url("manifests/" + ref),
		kind: m.MediaType, body: windowOf(m.Data)})
	if err != nil {
		return err
	}
	return resp.Body.Close()
}

// sendBlobs uploads what the repository lacks.
func (r *Repository) sendBlobs(
	ctx context.Context, c Content, report func(status string),
) error {
	for round := 1; ; round++ {
		wanted, err := r.missing(ctx, c.Blobs)
		if err != nil || len(wanted) == 0 {
			return err
		}
		err = c.Each(ctx, wanted, func(d ocispec.Descriptor, blob io.Reader) error {
			report(d.Digest.Encoded()[:12] + ": Pushing")
			err := r.upload(ctx, d, blob)
			if err == nil {
				report(d.Digest.Encoded()[:12] + ": Pushed")
			}
			return err
		})
		if !errors.Is(err, errLost) || round == mostRounds {
			return err
		}
	}
}

// missing returns the blobs that the repository lacks.
func (r *Repository) missing(
	ctx context.Context, blobs []ocispec.Descriptor,
) (map[digest.Digest]bool, error) {
	there := make([]bool, len(blobs))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(atOnce)
	for i, b := range blobs {
		g.Go(func() (err error) {
			there[i], err = r.has(ctx, b.Digest)
			return err
		})
	}
	err := g.Wait()
	wanted := map[digest.Digest]bool{}
	for i, b := range blobs {
		if !there[i] {
			wanted[b.Digest] = true
		}
	}
	return wanted, err
}

// report makes the repository report the bytes that it sends. status reports what begins; after end
// nothing is reported.
func (r *Repository) report(progress func(imagestore.Progress)) (status func(string), end func()) {
	if progress == nil {
		progress = func(imagestore.Progress) {}
	}
	var mu sync.Mutex
	var sent int64
	ended := false
	tell := func(n int, text string) {
		mu.Lock()
		defer mu.Unlock()
		if sent += int64(n); !ended {
			progress(imagestore.Progress{Status: text, Bytes: sent})
		}
	}
	r.moved = func(n int) { tell(n, "") }
	return func(text string) { tell(0, text) }, func() {
		mu.Lock()
		defer mu.Unlock()
		ended = true
	}
}
