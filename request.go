package pinion

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/containerd/platforms"

	"git.moleculesai.app/molecule-ai/pinion/buildkit"
	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore"
	"git.moleculesai.app/molecule-ai/pinion/internal/recipe"
	"git.moleculesai.app/molecule-ai/pinion/internal/retention"
	"git.moleculesai.app/molecule-ai/pinion/internal/verify"
	"git.moleculesai.app/molecule-ai/pinion/resolver"
	"git.moleculesai.app/molecule-ai/pinion/resolver/git"
)

// EnsureOption adjusts one call of [Orchestrator.Ensure].
type EnsureOption func(*request)

// request is what one caller asks for besides the name.
type request struct {
	pin     resolver.Pin // zero for the branch's head
	isPull  bool         // of a pull request
	isTree  bool
	path    string // of the working tree
	prewarm bool
	labels  map[string]string
	attest  []string
	isPush  bool
	pushTo  string
	onEvent func(Event)
	askedBy string
	begun   time.Time

	workOptions
}

// workOptions change how an image is made and are no part of its recipe. Calls that differ in them
// do not share a build.
type workOptions struct {
	pull, noCache      bool
	cacheFrom, cacheTo []string
}

func newRequest(opts []EnsureOption) (r request) {
	r.begun = time.Now()
	for _, opt := range opts {
		opt(&r)
	}
	return r
}

// AtRevision asks for a commit instead of the branch's head. The commit must be on the template's
// branch, as the git server's API shows it, unless anyRevision is true.
func AtRevision(rev git.Revision, anyRevision bool) EnsureOption {
	return func(r *request) { r.pin.Revision, r.pin.OffBranch = rev, anyRevision }
}

// AtPullRequest asks for the head of a pull request, by its number, instead of the branch's. The
// template must allow that in the catalogue. The image has a key, a record and a name of its own,
// pr-<number>-<commit>, also where the branch has the same commit, and is never latest. The build
// neither sees the credentials of registries, unless the catalogue allows that, nor leaves anything
// in a cache that others read. With [AtRevision] the commit must be the head at the moment.
func AtPullRequest(number int) EnsureOption {
	return func(r *request) { r.isPull, r.pin.PullRequest = true, number }
}

// AtPath asks for the working tree whose root is the folder dir, instead of a commit: to try a
// changed template before it is pushed. The git server is not asked. See [Image.Tree].
func AtPath(dir string) EnsureOption {
	return func(r *request) { r.isTree, r.path = true, dir }
}

// Pull asks the registries again: in registry mode for the image, otherwise for the images in FROM;
// the latter bypasses the hit.
func Pull() EnsureOption { return func(r *request) { r.pull = true } }

// NoCache runs every step of the Dockerfile again. It bypasses the hit.
func NoCache() EnsureOption { return func(r *request) { r.noCache = true } }

// Prewarm marks an image that is not needed yet, in the receipt and in those of later hits. Its
// build waits behind all that callers want, until one of them wants it too.
func Prewarm() EnsureOption { return func(r *request) { r.prewarm = true } }

// Label puts one more label on the image. It is part of the recipe: the image has a key and a tag
// of its own, <commit>.<digest of all labels>, and is a hit only for calls with the same labels.
// The last value of a key counts. [LabelSource], [LabelRevision] and Pinion's own are refused.
func Label(key, value string) EnsureOption {
	return func(r *request) {
		r.labels = maps.Clone(r.labels)
		if r.labels == nil {
			r.labels = map[string]string{}
		}
		r.labels[key] = value
	}
}

// Attest attaches a statement to the image of how it was made. The entry is one of `docker buildx
// build --attest`: type=provenance with mode=min or mode=max (the default, as in BuildKit), or the
// type alone. It is part of the recipe: the image has a key and a tag of its own,
// <commit>.provenance-<mode>, and is a hit only for calls with the same statement. The statement
// holds times, so two builds of one commit have two image IDs. The ID is that of an index which
// leads to the image and to the statement.
//
// It needs a store that holds an index, Docker's containerd store or a folder, and BuildKit 0.11
// inside the store, 0.12 outside of it. Otherwise the call fails with [ErrInvalidInput] before
// anything is built, or with [ErrDelivery].
func Attest(entry string) EnsureOption {
	return func(r *request) { r.attest = append(slices.Clone(r.attest), entry) }
}

// CacheFrom offers the builder a cache besides those of [WithBuildCache]. The entry is one of
// `docker buildx build --cache-from` with the type registry or local, or a reference alone. A cache
// that is missing is a warning. BuildKit trusts a cache: write access to it is enough to
// put layers into images. A hit reads none.
func CacheFrom(entry string) EnsureOption {
	return func(r *request) { r.cacheFrom = append(slices.Clone(r.cacheFrom), entry) }
}

// CacheTo saves the builder's cache to one more place, if something is built. The entry is one of
// `docker buildx build --cache-to` with the type registry or local. The cache is saved after the
// image is there, [Orchestrator.Close] waits for it, and a failure is logged.
func CacheTo(entry string) EnsureOption {
	return func(r *request) { r.cacheTo = append(slices.Clone(r.cacheTo), entry) }
}

// PushTo pushes the image, found or built, to the registry with that prefix, so that registry mode
// with the same prefix runs it elsewhere: <prefix>/workspace-template-<name>:<first 12 digits of
// the commit>, and after that :latest, unless a commit was asked for by [AtRevision] or the branch
// has moved. The credentials are those of the Docker config, the engine's registry settings apply,
// and the receipt lists what was pushed. It needs a Docker engine as the store. A registry that has
// the image already, or keeps latest for another, is no failure; the latter is a warning. The error
// is of kind [ErrRegistry] if the registry refuses, and a [PushError] if names were pushed before.
// Each caller's push is its own and comes after the build's last event.
func PushTo(prefix string) EnsureOption {
	return func(r *request) { r.pushTo, r.isPush = prefix, true }
}

// AskedBy says who asks, in a few words, for the status of a build that this call begins. Pinion
// makes nothing of it.
func AskedBy(who string) EnsureOption { return func(r *request) { r.askedBy = who } }

// OnEvent registers f for what happens until [Orchestrator.Ensure] returns, including what has
// happened before in a build that others began. f is called for one event at a time, in order. A
// slow f delays its own caller alone.
func OnEvent(f func(Event)) EnsureOption { return func(r *request) { r.onEvent = f } }

// followsHead reports whether the caller asked for the head of the branch or of a pull request, and
// not for a commit or a working tree. The commit of a pull request is always its head.
func (r request) followsHead() bool {
	return !r.isTree && (r.isPull || r.pin.Revision.IsZero())
}

// shapesBuild reports whether the caller chose what is built or how.
func (r request) shapesBuild() bool {
	return r.noCache || r.isPull || !r.followsHead() ||
		len(r.labels)+len(r.attest)+len(r.cacheFrom)+len(r.cacheTo) > 0
}

// bypass returns the reason not to look for a hit, if there is one.
func (r request) bypass() verify.Miss {
	switch {
	case r.noCache:
		return verify.Miss{Cause: verify.CauseAsked, Text: "asked to build without cache"}
	case r.pull:
		return verify.Miss{Cause: verify.CauseAsked,
			Text: "asked to pull the base images again"}
	}
	return verify.Miss{}
}

// sharing returns the key under which calls for the same work share a build.
func (r request) sharing(key string) string {
	return fmt.Sprintf("%s branch=%t %#v", key, r.followsHead(), r.workOptions)
}

// provenance returns the mode that was asked for; the last entry counts.
func (r request) provenance() (mode buildkit.Provenance, err error) {
	for _, entry := range r.attest {
		if mode, err = buildkit.ParseProvenance(entry); err != nil {
			return "", err
		}
	}
	if mode != "" && r.isTree {
		return "", fmt.Errorf("%w: a working tree is of no commit, so there is no provenance to "+
			"state; push the commit", ErrInvalidInput)
	}
	return mode, nil
}

// recipe returns a template's recipe, without the commit, for this Orchestrator's users.
func (o *Orchestrator) recipe(t resolver.Template, platform string) recipe.Recipe {
	return recipe.New(t, platform).WithIsolation(o.settings.isolation)
}

// platform returns the template's platform. Only "native" costs a request, to the engine or to the
// builder that was named.
func (o *Orchestrator) platform(
	ctx context.Context, store *imagestore.Facts, t resolver.Template,
) (string, error) {
	p := o.namedPlatform(t)
	if p == NativePlatform {
		var err error
		if p, err = o.builders.Native(ctx, store); err != nil {
			return "", err
		}
	}
	parsed, err := resolver.ParsePlatform(p)
	if err != nil {
		return "", err
	}
	return platforms.Format(parsed), nil
}

// namedPlatform returns the template's platform as it was written, which may be "native".
func (o *Orchestrator) namedPlatform(t resolver.Template) string {
	if t.Platform != "" {
		return t.Platform
	}
	return o.settings.platform
}

// MissCauses lists the kinds of reasons why there is no hit, as [BuildStatus] has them.
func MissCauses() (all []string) {
	for _, c := range verify.Causes() {
		all = append(all, string(c))
	}
	return all
}

// checkPullRequest refuses a pull request that the template does not allow, and what does not go
// with one.
func (r request) checkPullRequest(t resolver.Template) error {
	switch {
	case !r.isPull:
		return nil
	case t.PullRequests == nil:
		return fmt.Errorf("%w: the catalogue does not allow pull requests of %s: its entry has no "+
			"pull_requests", ErrInvalidInput, t.Name)
	case r.isTree:
		return fmt.Errorf("%w: a pull request and a working tree were asked for; give one of them",
			ErrInvalidInput)
	case r.pin.OffBranch:
		return fmt.Errorf("%w: the commit of a pull request is its head, and no other",
			ErrInvalidInput)
	case len(r.cacheTo) > 0:
		return fmt.Errorf("%w: the cache of a pull request is not saved, since whoever reads it "+
			"believes the author", ErrInvalidInput)
	}
	_, err := git.PullRequest(r.pin.PullRequest)
	return err
}

// PullRequests says which pull requests of a template are built.
type PullRequests = resolver.PullRequests

// PullRequests returns the catalogue's rules for pull requests of a template, and false if none is
// built. It contacts nothing.
func (o *Orchestrator) PullRequests(name string) (PullRequests, bool) {
	t, err := o.current.Load().catalogue.Template(name)
	if err != nil || t.PullRequests == nil || o.source.Mode == resolver.ModeRegistry {
		return PullRequests{}, false
	}
	return *t.PullRequests, true
}

// ClosePullRequest notes that a pull request was closed or merged: [Orchestrator.Prune] removes its
// images, unless one is requested again. A failure is an [*Error].
func (o *Orchestrator) ClosePullRequest(ctx context.Context, name string, number int) error {
	t, err := o.current.Load().catalogue.Template(name)
	if err != nil {
		return fail(ctx, name, err)
	}
	dir, err := o.records()
	if err == nil {
		err = retention.ClosePull(dir, recipe.New(t, "").Source(), number)
	}
	if err != nil {
		return fail(ctx, name, err)
	}
	return nil
}

// pullRules returns how long images of pull requests stay, or nil if that is not known because an
// entry of the config file is wrong.
func (f *templates) pullRules() map[recipe.Source]retention.PullRule {
	if len(f.catalogue.Problems()) > 0 {
		return nil
	}
	rules := map[recipe.Source]retention.PullRule{}
	for _, name := range f.catalogue.Names() {
		if t, err := f.catalogue.Template(name); err == nil && t.PullRequests != nil {
			rules[recipe.New(t, "").Source()] = retention.PullRule{Keep: t.PullRequests.Keep,
				MaxAge: t.PullRequests.MaxAge}
		}
	}
	return rules
}
