package pinion

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"time"

	"git.moleculesai.app/molecule-ai/pinion/buildkit"
	"git.moleculesai.app/molecule-ai/pinion/buildkit/buildx"
	"git.moleculesai.app/molecule-ai/pinion/internal/errdef"
	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore"
	"git.moleculesai.app/molecule-ai/pinion/internal/recipe"
	"git.moleculesai.app/molecule-ai/pinion/resolver"
	"git.moleculesai.app/molecule-ai/pinion/resolver/arg"
	"git.moleculesai.app/molecule-ai/pinion/resolver/git"
)

// Resolution is what a name stands for at the moment.
type Resolution struct {
	Name string        `json:"name"`
	Mode resolver.Mode `json:"mode"`
	// Reference is the one that [Orchestrator.Ensure] would return; empty for the platform
	// "native".
	Reference  string `json:"reference,omitempty"`
	Repository string `json:"repository,omitempty"`
	// Ref is empty for a template that the catalogue pins to a commit. For one whose image it gives
	// so are Repository and Revision.
	Ref      string       `json:"ref,omitempty"`
	Revision git.Revision `json:"revision,omitzero"`
	// PullRequests reports whether pull requests are built, see [AtPullRequest].
	PullRequests bool `json:"pull_requests,omitempty"`
	// Digest is that of the manifest which Reference names in the registry, from
	// [Orchestrator.Head] in registry mode alone.
	Digest string `json:"digest,omitempty"`
}

// Templates lists what the names of the catalogue stand for, in alphabetical order, as far as it is
// known without any request.
func (o *Orchestrator) Templates() []Resolution {
	var list []Resolution
	catalogue := o.current.Load().catalogue
	for _, name := range catalogue.Names() {
		t, err := catalogue.Template(name)
		if err != nil {
			continue // not in the list, then
		}
		r := Resolution{Name: name, Mode: o.source.Mode}
		switch {
		case t.Given != "":
			r.Reference = t.Given
		case r.Mode == resolver.ModeRegistry:
			r.Reference = o.source.Reference(name)
		default:
			r.Repository, r.Ref, r.Revision = t.Remote.String(), t.RefName(), t.Revision
			r.PullRequests = t.PullRequests != nil
		}
		list = append(list, r)
	}
	return list
}

// Forge is a repository at a forge that takes commit statuses.
type Forge = resolver.Forge

// Forge returns the repository of a template at its forge, and false if the config file has no
// token for commit statuses there, if nothing is built of the template, and if there is no such
// template. It contacts nothing.
func (o *Orchestrator) Forge(name string) (Forge, bool) {
	current := o.current.Load()
	t, err := current.catalogue.Template(name)
	if err != nil || t.Given != "" || o.source.Mode == resolver.ModeRegistry {
		return Forge{}, false
	}
	return current.forge(t.Remote)
}

// Resolve asks the git server what the name stands for, and contacts nothing else. It builds
// nothing. In registry mode, and if the catalogue gives the image, it makes no request.
func (o *Orchestrator) Resolve(ctx context.Context, name string) (Resolution, error) {
	res, err := o.resolve(ctx, name)
	if err != nil {
		return Resolution{}, fail(ctx, name, err)
	}
	return res, nil
}

// Head is [Orchestrator.Resolve], except that in registry mode it asks the registry which manifest
// the reference names at the moment. That is a HEAD request, which downloads nothing, with the
// credentials of the Docker config. It needs a Docker engine as the store. An image that the
// catalogue gives never moves, and is not asked for.
func (o *Orchestrator) Head(ctx context.Context, name string) (Resolution, error) {
	res, err := o.resolve(ctx, name)
	if err == nil && res.Mode == resolver.ModeRegistry &&
		res.Reference == o.source.Reference(name) {
		res.Digest, err = o.publishedDigest(ctx, res.Reference)
	}
	if err != nil {
		return Resolution{}, fail(ctx, name, err)
	}
	return res, nil
}

// Commit is what people want to know of a commit.
type Commit = resolver.CommitInfo

// Behind says how far a commit is behind the head of its template.
type Behind struct {
	Resolution
	// Commits are those that the head has and the commit has not, as a rule the newest first, and
	// More reports whether there may be others. There are none where the git server shows none.
	Commits []Commit `json:"commits,omitempty"`
	More    bool     `json:"more,omitempty"`
}

// Behind is [Orchestrator.Resolve] together with the commits of the head that the commit since has
// not. Without them it succeeds nevertheless.
func (o *Orchestrator) Behind(
	ctx context.Context, name string, since git.Revision,
) (b Behind, err error) {
	res, head, err := o.lookUp(ctx, name)
	if err != nil {
		return b, fail(ctx, name, err)
	}
	b.Resolution = res
	if since != head.Revision && !since.IsZero() && !head.Revision.IsZero() {
		b.Commits, b.More, err = o.current.Load().client.CommitsSince(ctx, head, since)
		b.More = b.More || err != nil
	}
	return b, nil
}

func (o *Orchestrator) resolve(ctx context.Context, name string) (Resolution, error) {
	res, _, err := o.lookUp(ctx, name)
	return res, err
}

// lookUp returns what a name stands for, and the head of its branch unless it stands for an image.
func (o *Orchestrator) lookUp(
	ctx context.Context, name string,
) (res Resolution, head resolver.Head, err error) {
	from := o.current.Load()
	t, err := from.catalogue.Template(name)
	if err != nil {
		return res, head, err
	}
	res = Resolution{Name: name, Mode: o.source.Mode}
	if t.Given != "" {
		res.Reference = t.Given
		return res, head, nil
	}
	if res.Mode == resolver.ModeRegistry {
		res.Reference = o.source.Reference(name)
		return res, head, nil
	}
	if head, err = resolver.HeadOf(ctx, from.heads, t, resolver.Dialect{}); err != nil {
		return Resolution{}, head, err
	}
	res.Repository, res.Ref, res.Revision = t.Remote.String(), t.RefAt(head), head.Revision
	if o.namedPlatform(t) == NativePlatform {
		return res, head, nil
	}
	platform, err := o.platform(ctx, nil, t)
	if err != nil {
		return Resolution{}, head, err
	}
	res.Reference = o.recipe(t, platform).At(head.Revision).Reference()
	return res, head, nil
}

// BakeFile is a definition for `docker buildx bake`: what Pinion would build at the moment, with
// the same names, labels and layers. Its one group, "default", has all targets in the order in
// which they were asked for.
type BakeFile = buildx.BakeFile

// BakeGroup names targets.
type BakeGroup = buildx.BakeGroup

// BakeTarget is one image. Its build arguments are those of the catalogue, at the commit.
type BakeTarget = buildx.BakeTarget

// Bake asks the git server for the commits of the templates and returns what builds them. If a
// build argument comes from a file of the commit, the builder fetches the commit and reads it.
// Nothing is built. The build needs no credential: a private repository is refused, since bake
// gives the secrets of a target to each RUN in it. Two things differ from [Orchestrator.Ensure],
// and change the image: a repository's .dockerignore is not applied, and its submodules are
// fetched. A template that fetches files in Git LFS is refused. A failure is an [*Error].
func (o *Orchestrator) Bake(ctx context.Context, names ...string) (BakeFile, error) {
	file := BakeFile{Group: map[string]BakeGroup{}, Target: map[string]BakeTarget{}}
	var targets []string
	for _, name := range names {
		target, err := o.bake(ctx, name)
		if err != nil {
			return BakeFile{}, fail(ctx, name, err)
		}
		key := buildx.BakeName(name)
		if _, twice := file.Target[key]; !twice {
			targets = append(targets, key)
		}
		file.Target[key] = target
	}
	file.Group["default"] = BakeGroup{Targets: targets}
	return file, nil
}

func (o *Orchestrator) bake(ctx context.Context, name string) (BakeTarget, error) {
	from := o.current.Load()
	t, err := from.catalogue.Template(name)
	if err != nil {
		return BakeTarget{}, err
	}
	if o.source.Mode == resolver.ModeRegistry {
		return BakeTarget{}, fmt.Errorf("%w: in registry mode nothing is built; unset %s for a "+
			"definition of builds", ErrInvalidInput, resolver.RegistryEnv)
	}
	if t.Given != "" {
		return BakeTarget{}, fmt.Errorf("%w: the catalogue gives the image of %s, so there is "+
			"nothing to build", ErrInvalidInput, name)
	}
	if strings.HasPrefix(t.Dockerfile, "/") {
		return BakeTarget{}, fmt.Errorf("%w: the Dockerfile of %s is outside of its subdir, which "+
			"bake cannot express for a git repository", ErrInvalidInput, name)
	}
	if t.LFS {
		return BakeTarget{}, fmt.Errorf("%w: %s has files in Git LFS, which bake cannot fetch",
			ErrInvalidInput, name)
	}
	var store *imagestore.Facts
	if o.namedPlatform(t) == NativePlatform || arg.ReadsFiles(t.Args) {
		s, err := o.store()
		if err != nil {
			return BakeTarget{}, imagestore.StoreFailure(err)
		}
		store = imagestore.NewFacts(s)
	}
	platform, err := o.platform(ctx, store, t)
	if err != nil {
		return BakeTarget{}, err
	}
	head, err := from.publicHead(ctx, t)
	if err != nil {
		return BakeTarget{}, err
	}
	if !head.Remote.HasSuffix() {
		return BakeTarget{}, fmt.Errorf("%w: the server has %s only at its URL without .git, "+
			"which bake takes for that of a file", ErrInvalidInput, t.Remote)
	}
	target := bakeTarget(o.recipe(t, platform).At(head.Revision), head.Remote)
	if len(t.Args) > 0 {
		req := buildkit.Request{Remote: head.Remote, Revision: head.Revision, Args: t.Args}
		target.Args, err = o.readArgs(ctx, store, req)
	}
	if t.KeepGitDir {
		args := map[string]string{"BUILDKIT_CONTEXT_KEEP_GIT_DIR": "1"}
		maps.Copy(args, target.Args)
		target.Args = args
	}
	return target, err
}

// readArgs returns the build arguments as literals for bake. Only files take a builder, which reads
// them at the commit.
func (o *Orchestrator) readArgs(
	ctx context.Context, store *imagestore.Facts, req buildkit.Request,
) (map[string]string, error) {
	args := map[string]string{}
	if !arg.ReadsFiles(req.Args) {
		for _, r := range req.Args {
			args[r.Name] = buildx.BakeLiteral(r.Value)
		}
		return args, nil
	}
	b, err := o.connect(ctx, store, "")
	if err != nil {
		return nil, err
	}
	defer b.Close()
	values, err := b.ReadArgs(ctx, req)
	for _, v := range values {
		args[v.Name] = buildx.BakeLiteral(v.Value)
	}
	return args, err
}

// publicHead asks without a credential. A repository that shows nothing then, and shows its head to
// the caller, is private.
func (f *templates) publicHead(ctx context.Context, t resolver.Template) (resolver.Head, error) {
	head, err := resolver.HeadOf(ctx, f.public, t, resolver.Dialect{})
	hidden := errors.Is(err, ErrUnauthorized) || errors.Is(err, ErrNotFound)
	if !hidden || f.creds.For(t.Remote).Token == "" {
		return head, err
	}
	if _, err := f.heads.Head(ctx, t.Remote, t.Ref, resolver.Dialect{}); err != nil {
		return resolver.Head{}, err
	}
	return resolver.Head{}, errdef.In(errdef.BakePrivate, t.Name, fmt.Errorf("%w: %s is private, "+
		"and bake would show the credential to every RUN of its Dockerfile", ErrInvalidInput,
		t.Remote))
}

// bakeTarget returns the recipe in bake's terms. The layers of an image on the containerd store are
// part of its ID, so they are exported as Pinion's are: uncompressed.
func bakeTarget(r recipe.Recipe, from git.Remote) BakeTarget {
	source := from.GitURL() + "#" + r.Revision.String()
	if r.Subdir != "" {
		source += ":" + r.Subdir
	}
	labels := map[string]string{}
	for k, v := range r.Labels() {
		labels[buildx.BakeLiteral(k)] = buildx.BakeLiteral(v)
	}
	return BakeTarget{
		Context: buildx.BakeLiteral(source), Dockerfile: buildx.BakeLiteral(r.Dockerfile),
		Target: r.Target, Platforms: []string{r.Platform},
		Tags: []string{r.Reference(), r.Latest()}, Labels: labels,
		Attest: []string{"type=provenance,disabled=true", "type=sbom,disabled=true"},
		Output: []string{"type=docker,compression=uncompressed,force-compression=true"},
	}
}

// headTimeout bounds the last question to the git server, whether the branch has moved during the
// build. The image is there by then.
const headTimeout = 5 * time.Second

// ConfigEntry is one entry of the config file: what it stands for, or what is wrong with it.
type ConfigEntry = resolver.Entry

// CheckConfig reads the config file that [New] would read and returns its path and its entries,
// those that are wrong included. It contacts nothing. The error is of kind [ErrInvalidInput] for a
// file that is no YAML, or that [WithConfig] names and does not exist.
func CheckConfig(opts ...Option) (file string, entries []ConfigEntry, err error) {
	s := defaults()
	for _, o := range opts {
		o(&s)
	}
	setup, err := s.loadCatalogue()
	if err != nil {
		return s.configPath(), nil, err
	}
	return s.configPath(), setup.Catalogue.Entries(), nil
}
