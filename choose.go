package pinion

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"

	"git.moleculesai.app/molecule-ai/pinion/buildkit"
	"git.moleculesai.app/molecule-ai/pinion/buildkit/buildx"
	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore"
	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore/docker"
)

// checkStore refuses what [WithStore] does not know.
func (s settings) checkStore() error {
	dir, layout := s.layoutDir()
	if layout && strings.TrimSpace(dir) != "" || !layout &&
		(s.store == "" || s.store == StoreDocker) {
		return nil
	}
	return fmt.Errorf("%w: image store %q: write %s for the Docker engine, or %sDIR for a folder",
		ErrInvalidInput, s.store, StoreDocker, StoreOCI)
}

// layoutDir is the folder that images go into, if it is a folder.
func (s settings) layoutDir() (string, bool) { return strings.CutPrefix(s.store, StoreOCI) }

// stillThere says that a store that was opened is what its path leads to.
func stillThere(st store) bool {
	folder, ok := st.(imagestore.Folder)
	return !ok || folder.Exists()
}

// choice is the builder for when none was named by its address.
type choice struct {
	// buildx is the builder of that; nil if it is none.
	buildx *buildx.Builder
	// engine whose own BuildKit it is; without one and without buildx it is the managed builder.
	engine  buildkit.Engine
	info    imagestore.EngineInfo
	options []buildkit.Option
	// why, for people.
	why string
}

// choose takes the builder that buildx has, by name or by selection. Where there is none it takes
// the BuildKit of the engine that holds the images. For a folder it takes that of the engine which
// answers, if it hands out layers, else the managed builder.
func (s settings) choose(ctx context.Context, st store) (choice, error) {
	c, own, err := s.chooseBuildx()
	if err != nil || c.buildx != nil {
		return c, err
	}
	if e := engineOf(st); e != nil {
		info, err := st.Info(ctx)
		if err != nil {
			return choice{}, storeError(err)
		}
		return choice{engine: e, info: info,
			why: cmp.Or(c.why, "the Docker engine's own BuildKit; no other was named")}, nil
	}
	e, info, err := s.engineBeside(ctx)
	switch {
	case err == nil && info.Kind != imagestore.KindContainerd && own:
		return choice{}, &buildkit.Error{Op: "choose", Kind: ErrNoBuilder, Err: fmt.Errorf(
			"the Docker engine at %s, which --builder or %s names, has the classic image store, "+
				"which hands out no layers; name another builder",
			e.Endpoint(), EnvBuildxBuilder)}
	case err == nil && info.Kind == imagestore.KindContainerd:
		return choice{
			engine: e, info: info, options: []buildkit.Option{buildkit.ThroughSink()},
			why: cmp.Or(c.why, "a Docker engine that answers; no builder was named"),
		}, nil
	case err == nil:
		return choice{why: fmt.Sprintf("no builder was named, and the Docker engine at %s has "+
			"the classic image store, which hands out no layers", e.Endpoint())}, nil
	case errors.Is(err, imagestore.ErrUnavailable) && !own && !s.engineConfig().Named():
		return choice{why: "no builder was named, and no Docker engine answers"}, nil
	default:
		return choice{}, &buildkit.Error{Op: "choose", Kind: ErrNoBuilder, Err: err}
	}
}

// engineBeside asks the engine that plain `docker` would use what it is.
func (s settings) engineBeside(ctx context.Context) (
	*docker.Engine, imagestore.EngineInfo, error,
) {
	e, err := docker.Dial(s.engineConfig())
	if err != nil {
		return nil, imagestore.EngineInfo{}, err
	}
	// It dials anew where it is used for more than this question.
	defer e.Close()
	info, err := e.Info(ctx)
	return e, info, err
}
