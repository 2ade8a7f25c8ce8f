package pinion

import (
	"context"
	"fmt"

	"github.com/containerd/platforms"
	"github.com/moby/buildkit/client"
	"github.com/moby/buildkit/session/auth/authprovider"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"

	"git.moleculesai.app/molecule-ai/pinion/buildkit"
	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore"
	"git.moleculesai.app/molecule-ai/pinion/resolver"
)

// solver is what a job needs of a builder.
type solver interface {
	Info() buildkit.Info
	Native() ocispecs.Platform
	RequirePlatform(p ocispecs.Platform) error
	Solve(ctx context.Context, req buildkit.Request, sink buildkit.Sink) (buildkit.Result, error)
	Close() error
}

// connect takes the builder that was named, else the engine's own BuildKit. A named one that does not answer
// is an error, never a reason to take another.
func (s settings) connect(ctx context.Context, st store) (solver, error) {
	file, err := s.engineConfig().DockerConfig()
	if err != nil {
		return nil, storeError(err)
	}
	auth := buildkit.WithRegistryAuth(authprovider.NewDockerAuthProvider(authprovider.DockerAuthProviderConfig{
		AuthConfigProvider: authprovider.LoadAuthConfig(file),
	}))
	if s.addr != "" {
		return buildkit.Dial(ctx, s.addr, s.tls, auth)
	}
	info, err := st.Info(ctx)
	if err != nil {
		return nil, storeError(err)
	}
	facts := buildkit.EngineFacts{Version: info.Version, ContainerdStore: info.Kind == imagestore.KindContainerd}
	return buildkit.ForEngine(ctx, st, facts, auth)
}

func (s settings) engineConfig() imagestore.EngineConfig {
	cfg := s.engine
	cfg.Lookup = s.lookup
	return cfg
}

func (s settings) openStore() (store, error) {
	e, err := imagestore.Dial(s.engineConfig())
	if err != nil {
		return nil, err
	}
	return e, nil
}

// recipe settles the platform and with it all of the recipe but the revision. Only "native" costs a request,
// to the engine or to the builder that was named.
func (o *Orchestrator) recipe(ctx context.Context, st store, t resolver.Template) (recipe, error) {
	p := o.platform(t)
	if p == NativePlatform {
		var err error
		if p, err = o.native(ctx, st); err != nil {
			return recipe{}, err
		}
	}
	parsed, err := parsePlatform(p)
	if err != nil {
		return recipe{}, err
	}
	return newRecipe(t, platforms.Format(parsed)), nil
}

func (o *Orchestrator) native(ctx context.Context, st store) (string, error) {
	if o.settings.addr == "" {
		info, err := st.Info(ctx)
		if err != nil {
			return "", storeError(err)
		}
		return info.Platform, nil
	}
	b, err := o.connect(ctx, st)
	if err != nil {
		return "", err
	}
	defer b.Close()
	return platforms.Format(b.Native()), nil
}

func parsePlatform(s string) (ocispecs.Platform, error) {
	p, err := platforms.Parse(s)
	if err != nil {
		return p, fmt.Errorf("%w: platform %q: %w (write os/arch[/variant], for example linux/arm64, or native)", ErrInvalidInput, s, err)
	}
	return platforms.Normalize(p), nil
}

func checkPlatform(s string) error {
	if s == NativePlatform {
		return nil
	}
	_, err := parsePlatform(s)
	return err
}

func (j *job) progress() func(*client.SolveStatus) {
	return func(st *client.SolveStatus) { j.o.settings.progress(j.template.Name, st) }
}
