package pinion

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/distribution/reference"

	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore"
	"git.moleculesai.app/molecule-ai/pinion/resolver"
)

// Pushed is a name in a registry and the digest of the manifest that it stands for there.
type Pushed struct {
	Reference string `json:"reference"`
	Digest    string `json:"digest"`
}

// PushTo has the image, found or built, pushed to the registry with that prefix, so that registry
// mode with the same prefix runs it elsewhere: <prefix>/workspace-template-<name>:<first 12 digits
// of the commit>, and after that :latest, unless a commit was asked for by [AtRevision] or the
// branch has moved on meanwhile. The credentials are those of the Docker config, the engine's
// registry settings count, and the receipt lists what was pushed. It needs a Docker engine for its
// store. [ErrRegistry] is the kind of error when the registry refuses. Each caller's push is its
// own and comes after the build's last event.
func PushTo(prefix string) EnsureOption { return func(a *ask) { a.pushTo, a.push = prefix, true } }

// checkPush refuses what could only be refused after the build.
func checkPush(t resolver.Template, st store, a ask) (imagestore.Pusher, error) {
	if a.local {
		return nil,
			fmt.Errorf("%w: a working tree is of no commit, so its image is not for others; push "+
				"the commit", ErrInvalidInput)
	}
	ref := resolver.RegistrySource{Mode: resolver.ModeRegistry, Prefix: a.pushTo}.Reference(t.Name)
	if strings.Contains(a.pushTo, "@") {
		return nil,
			fmt.Errorf("%w: the registry to push to has an @ in it; credentials come from "+
				"`docker login`", ErrInvalidInput)
	}
	if _, err := reference.ParseNormalizedNamed(ref); err != nil {
		return nil,
			fmt.Errorf("%w: the registry to push to gives %q, which is no image reference: %w",
				ErrInvalidInput, ref, err)
	}
	p, ok := st.(imagestore.Pusher)
	if !ok {
		return nil,
			fmt.Errorf("%w: pushing is the Docker engine's work, and the images are in %s; push "+
				"from there with a tool such as skopeo", ErrInvalidInput, st.Endpoint())
	}
	return p, nil
}

// push sends a verified image under the key's lock, which keeps others from pushing and from
// pruning it.
func (j *job) push(ctx context.Context, p imagestore.Pusher, img Image) (Image, error) {
	unlock, warnings, err := j.lock(ctx)
	if err != nil {
		return Image{}, err
	}
	defer unlock()
	img.Warnings = append(img.Warnings, warnings...)
	latest := resolver.RegistrySource{Mode: resolver.ModeRegistry,
		Prefix: j.ask.pushTo}.Reference(j.template.Name)
	repository := strings.TrimSuffix(latest, ":latest")
	refs := []string{repository + ":" + j.recipe.tag()}
	if j.ask.revision.IsZero() {
		refs = append(refs, repository+":"+j.recipe.latestTag())
	}
	begun := time.Now()
	for i, ref := range refs {
		// The first push may have taken minutes.
		if i > 0 && (!img.SupersededBy.IsZero() || !j.superseded(ctx).IsZero()) {
			img.Warnings = append(img.Warnings,
				fmt.Sprintf("%s was left where it is: the branch has moved on", ref))
			continue
		}
		digest, err := j.pushAs(ctx, p, img.ID, ref)
		if errors.Is(err, ErrLockTimeout) {
			return Image{}, err
		}
		if err != nil {
			return Image{}, imagestore.Failure(err)
		}
		img.Pushed = append(img.Pushed, Pushed{Reference: ref, Digest: digest})
	}
	img.Durations.Push = ms(time.Since(begun))
	return img, nil
}

// pushAs pushes under one name. Commits share names, so the key's lock is not enough for it.
func (j *job) pushAs(ctx context.Context, p imagestore.Pusher, id, ref string) (string, error) {
	if dir, err := j.o.records(); err == nil {
		name := sha256.Sum256([]byte("push " + j.store.Endpoint() + " " + ref))
		unlock, err := dir.Lock(ctx, hex.EncodeToString(name[:]), j.o.settings.lockWait)
		if err != nil {
			return "", err
		}
		defer unlock()
	}
	j.o.log.Info(fmt.Sprintf("local-build: pushing %s", ref))
	return p.Push(ctx, id, ref, func(status string) { j.o.log.Debug(status) })
}
