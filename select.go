package pinion

import (
	"context"
	"errors"
	"fmt"

	"github.com/containerd/platforms"
	"github.com/moby/buildkit/session/auth/authprovider"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"

	"git.moleculesai.app/molecule-ai/pinion/buildkit"
	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore"
	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore/docker"
	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore/layout"
	"git.moleculesai.app/molecule-ai/pinion/resolver"
)

// solver is what a job needs of a builder.
type solver interface {
	Info() buildkit.Info
	Native() ocispecs.Platform
	RequirePlatform(p ocispecs.Platform) error
	Solve(ctx context.Context, req buildkit.Request, sink buildkit.Sink) (buildkit.Result, error)
	SaveCache(ctx context.Context, save buildkit.CacheSave) (ocispecs.Descriptor, error)
	Close() error
}

// connect takes the builder that was named, the managed one included, else the one that is chosen.
// A named one that does not answer is an error, never a reason to take another. Of a builder with
// several nodes it takes the one for the platform, which may be "".
func (s settings) connect(ctx context.Context, st store, platform string) (solver, error) {
	file, err := s.engineConfig().DockerConfig()
	if err != nil {
		return nil, storeError(err)
	}
	auth := buildkit.WithRegistryAuth(authprovider.NewDockerAuthProvider(authprovider.DockerAuthProviderConfig{
		AuthConfigProvider: authprovider.LoadAuthConfig(file),
	}))
	switch s.addr {
	case "":
	case ManagedBuilder:
		return s.connectManaged(ctx, auth)
	default:
		return buildkit.Dial(ctx, s.addr, s.tls, auth)
	}
	c, err := s.choose(ctx, st)
	if err != nil {
		return nil, err
	}
	if c.buildx != nil {
		return s.connectBuildx(ctx, *c.buildx, platform, auth)
	}
	if c.engine == nil {
		b, err := s.connectManaged(ctx, auth)
		if err != nil {
			return nil, fmt.Errorf("%w (%s)", err, c.why)
		}
		return b, nil
	}
	facts := buildkit.EngineFacts{Version: c.info.Version,
		ContainerdStore: c.info.Kind == imagestore.KindContainerd}
	return buildkit.ForEngine(ctx, c.engine, facts, append(c.options, auth)...)
}

// connectManaged starts the managed builder, or finds the one that runs. It is for whoever named
// it, and for an image store without a BuildKit of its own where nothing was named.
func (s settings) connectManaged(ctx context.Context, opts ...buildkit.Option) (solver, error) {
	if s.managed == nil {
		return nil, &buildkit.Error{Op: "start", Kind: ErrNoBuilder, Err: errors.New(
			"this program has no managed BuildKit; name a builder by its address, or use a " +
				"Docker engine")}
	}
	addr, err := s.managed(ctx)
	if err != nil {
		if cause := context.Cause(ctx); cause != nil {
			return nil, cause
		}
		return nil, &buildkit.Error{Op: "start", Kind: ErrNoBuilder, Err: err}
	}
	return buildkit.Dial(ctx, addr, buildkit.TLS{}, append(opts, buildkit.Managed())...)
}

func (s settings) engineConfig() docker.Config {
	cfg := s.engine
	cfg.Lookup = s.lookup
	return cfg
}

func (s settings) openStore() (store, error) {
	if dir, ok := s.layoutDir(); ok {
		l, err := layout.Open(dir)
		if err != nil {
			return nil, err
		}
		return l, nil
	}
	e, err := docker.Dial(s.engineConfig())
	if err != nil {
		return nil, err
	}
	return e, nil
}

// recipe settles the platform and with it all of the recipe but the revision. Only "native" costs a
// request, to the engine or to the builder that was named.
func (o *Orchestrator) recipe(ctx context.Context, st store, t resolver.Template) (recipe, error) {
	p := o.platform(t)
	if p == NativePlatform {
		var err error
		if p, err = o.native(ctx, st); err != nil {
			return recipe{}, err
		}
	}
	parsed, err := resolver.ParsePlatform(p)
	if err != nil {
		return recipe{}, err
	}
	return newRecipe(t, platforms.Format(parsed)), nil
}

func (o *Orchestrator) native(ctx context.Context, st store) (string, error) {
	switch o.settings.addr {
	case "":
		c, err := o.settings.choose(ctx, st)
		if err != nil {
			return "", err
		}
		switch {
		case c.engine != nil:
			return c.info.Platform, nil
		case c.buildx == nil:
			return managedPlatform(), nil
		}
	case ManagedBuilder:
		return managedPlatform(), nil
	}
	b, err := o.connect(ctx, st, "")
	if err != nil {
		return "", err
	}
	defer b.Close()
	return platforms.Format(b.Native()), nil
}

// managedPlatform is this machine's. A hit does not need the builder to run.
func managedPlatform() string {
	return platforms.Format(platforms.Normalize(platforms.DefaultSpec()))
}

func checkPlatform(s string) error {
	if s == NativePlatform {
		return nil
	}
	_, err := resolver.ParsePlatform(s)
	return err
}
