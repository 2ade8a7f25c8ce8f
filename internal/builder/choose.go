package builder

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"git.moleculesai.app/molecule-ai/pinion/buildkit"
	"git.moleculesai.app/molecule-ai/pinion/buildkit/buildx"
	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore"
	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore/docker"
)

// Kind is the outcome of a choice.
type Kind int

const (
	// KindAddress is the buildkitd that was named by its address.
	KindAddress Kind = iota
	// KindBuildx is a builder of buildx, named or selected there.
	KindBuildx
	// KindEngine is a Docker engine's own BuildKit.
	KindEngine
	// KindManaged is the managed BuildKit.
	KindManaged
)

// Choice is the builder to use.
type Choice struct {
	Kind Kind
	// Why says how it came to be chosen, human-readable.
	Why string
	// Buildx is set for KindBuildx.
	Buildx buildx.Builder
	// Engine and EngineInfo are set for KindEngine. ThroughSink reports whether the engine is not
	// the one that holds the images.
	Engine      buildkit.Engine
	EngineInfo  imagestore.EngineInfo
	ThroughSink bool
}

// Choose returns the builder that was named, otherwise the one selected in buildx, otherwise the
// BuildKit of the engine that holds the images. For a folder of images that is the BuildKit of an
// engine that answers and hands out layers, otherwise the managed one.
func (c Config) Choose(ctx context.Context, store *imagestore.Facts) (Choice, error) {
	switch {
	case c.UseManaged:
		return Choice{Kind: KindManaged, Why: "named"}, nil
	case c.Addr != "":
		return Choice{Kind: KindAddress, Why: "named by its address"}, nil
	}
	sel, err := c.selection()
	if err != nil {
		return Choice{}, noBuilder("choose", err)
	}
	if sel.kind == selectedBuilder {
		return Choice{Kind: KindBuildx, Buildx: sel.builder, Why: sel.why}, nil
	}
	if engine := EngineOf(store.Store); engine != nil {
		info, err := store.Info(ctx)
		if err != nil {
			return Choice{}, imagestore.StoreFailure(err)
		}
		return Choice{Kind: KindEngine, Engine: engine, EngineInfo: info,
			Why: cmp.Or(sel.why, "the Docker engine's own BuildKit; no other was named")}, nil
	}
	return c.chooseForFolder(ctx, sel)
}

// EngineOf returns the store as an engine with a BuildKit of its own, or nil if it is none.
func EngineOf(s imagestore.Store) buildkit.Engine {
	e, _ := s.(buildkit.Engine)
	return e
}

// chooseForFolder chooses where the images go into a folder. The engine is the one that plain
// `docker` would use.
func (c Config) chooseForFolder(ctx context.Context, sel selection) (Choice, error) {
	const classic = "has the classic image store, which hands out no layers"
	engine, info, err := c.askEngine(ctx)
	named := sel.kind == selectedEngine
	switch {
	case err == nil && info.Kind == imagestore.KindContainerd:
		return Choice{Kind: KindEngine, Engine: engine, EngineInfo: info, ThroughSink: true,
			Why: cmp.Or(sel.why, "a Docker engine that answers; no builder was named")}, nil
	case err == nil && named:
		return Choice{}, noBuilder("choose", fmt.Errorf("the Docker engine at %s, which was named "+
			"as the builder, %s; name another builder", engine.Endpoint(), classic))
	case err == nil:
		return Choice{Kind: KindManaged, Why: fmt.Sprintf("no builder was named, and the Docker "+
			"engine at %s %s", engine.Endpoint(), classic)}, nil
	case errors.Is(err, imagestore.ErrUnavailable) && !named && !c.Engine.Named():
		return Choice{Kind: KindManaged,
			Why: "no builder was named, and no Docker engine answers"}, nil
	default:
		return Choice{}, noBuilder("choose", err)
	}
}

// askEngine asks the engine in use for its description. Other uses dial the engine again.
func (c Config) askEngine(ctx context.Context) (*docker.Engine, imagestore.EngineInfo, error) {
	e, err := docker.Dial(c.Engine)
	if err != nil {
		return nil, imagestore.EngineInfo{}, err
	}
	defer e.Close()
	info, err := e.Info(ctx)
	return e, info, err
}
