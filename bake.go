package pinion

import (
	"context"
	"errors"
	"fmt"

	"git.moleculesai.app/molecule-ai/pinion/buildkit/buildx"
	"git.moleculesai.app/molecule-ai/pinion/resolver"
)

// BakeFile is a definition that `docker buildx bake` takes: what Pinion would build at the moment,
// with the same names, labels and layers. Its one group, "default", has all targets in the order in
// which they were asked for.
type BakeFile = buildx.BakeFile

// BakeGroup names targets.
type BakeGroup = buildx.BakeGroup

// BakeTarget is one image. It has no build arguments.
type BakeTarget = buildx.BakeTarget

// Bake asks the git server for the commits of the templates and returns what builds them. Nothing
// is built, and whoever builds it needs no credential: a private repository is refused, since bake
// gives the secrets of a target to each RUN in it. Two things are not the same as with
// [Orchestrator.Ensure], and then the image is another one: a repository's .dockerignore is not
// applied, and its submodules are fetched. A failure is an [*Error].
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
	t, err := o.catalogue.Template(name)
	if err != nil {
		return BakeTarget{}, err
	}
	if o.source.Mode == resolver.ModeRegistry {
		return BakeTarget{},
			fmt.Errorf("%w: in registry mode nothing is built; unset %s for a definition of builds",
				ErrInvalidInput, resolver.RegistryEnv)
	}
	r, err := o.recipeAlone(ctx, t)
	if err != nil {
		return BakeTarget{}, err
	}
	head, err := o.publicHead(ctx, t)
	if err != nil {
		return BakeTarget{}, err
	}
	return r.at(head.Revision).bake(t), nil
}

// recipeAlone opens the store where only that or the builder knows the platform.
func (o *Orchestrator) recipeAlone(ctx context.Context, t resolver.Template) (recipe, error) {
	var st store
	if o.platform(t) == NativePlatform {
		var err error
		if st, err = o.store(); err != nil {
			return recipe{}, storeError(err)
		}
	}
	return o.recipe(ctx, st, t)
}

// publicHead asks without a credential. Only a repository that shows nothing then, and shows it to
// the caller, is private.
func (o *Orchestrator) publicHead(ctx context.Context, t resolver.Template) (resolver.Head, error) {
	head, err := o.public.Head(ctx, t.Remote, t.Ref, "")
	if err == nil || o.creds.For(t.Remote) == "" || !errors.Is(err, ErrUnauthorized) &&
		!errors.Is(err, ErrNotFound) {
		return head, err
	}
	if _, err := o.heads.Head(ctx, t.Remote, t.Ref, ""); err != nil {
		return resolver.Head{}, err
	}
	return resolver.Head{},
		fmt.Errorf("%w: %s is private, and bake would show the credential to every RUN of its "+
			"Dockerfile; use `pinion ensure %s`, which keeps it to the fetch",
			ErrInvalidInput, t.Remote, t.Name)
}

// bake is the recipe in bake's terms. The layers of an image on the containerd store are part of
// its ID, so they are exported as Pinion's are: uncompressed.
func (r recipe) bake(t resolver.Template) BakeTarget {
	source := t.Remote.GitURL() + "#" + r.Revision
	if r.Subdir != "" {
		source += ":" + r.Subdir
	}
	labels := map[string]string{}
	for k, v := range r.labels() {
		labels[buildx.BakeLiteral(k)] = buildx.BakeLiteral(v)
	}
	return BakeTarget{
		Context: buildx.BakeLiteral(source), Dockerfile: buildx.BakeLiteral(r.Dockerfile), Target: r.Target,
		Platforms: []string{r.Platform}, Tags: []string{r.reference(), r.latest()}, Labels: labels,
		Attest: []string{"type=provenance,disabled=true", "type=sbom,disabled=true"},
		Output: []string{"type=docker,compression=uncompressed,force-compression=true"},
	}
}
