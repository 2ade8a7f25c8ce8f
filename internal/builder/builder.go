// Package builder decides which BuildKit builds, and connects to it.
//
// It guarantees that a builder which was named, by address, by its name in buildx or by its engine,
// is the one that is used: if it does not answer, that is an error and no reason to use another.
// It builds nothing, and it writes nothing into Docker's or buildx's folders.
package builder

import (
	"context"
	"errors"
	"fmt"

	"github.com/containerd/platforms"
	"github.com/docker/cli/cli/config/configfile"
	"github.com/moby/buildkit/session/auth/authprovider"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"

	"git.moleculesai.app/molecule-ai/pinion/buildkit"
	"git.moleculesai.app/molecule-ai/pinion/internal/errdef"
	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore"
	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore/docker"
	"git.moleculesai.app/molecule-ai/pinion/resolver/arg"
)

// Builder is a BuildKit that answered.
type Builder interface {
	Info() buildkit.Info
	Native() ocispecs.Platform
	RequirePlatform(p ocispecs.Platform) error
	ReadArgs(ctx context.Context, req buildkit.Request) ([]arg.Value, error)
	Solve(ctx context.Context, req buildkit.Request, sink buildkit.Sink) (buildkit.Result, error)
	CacheUse(ctx context.Context) (buildkit.CacheUse, error)
	SaveCache(ctx context.Context, save buildkit.CacheSave) (ocispecs.Descriptor, error)
	Close() error
}

// Connection is a builder, and what its choice is worth remarking on, such as a node that did not
// answer.
type Connection struct {
	Builder
	Remarks []string
}

// Config says which builder was named, and how to find the others. The zero value of a field means
// that it was not named.
type Config struct {
	// Lookup reads an environment variable.
	Lookup func(string) (string, bool)
	// UseManaged names the managed BuildKit.
	UseManaged bool
	// Addr is a buildkitd's address. TLS is for a tcp:// address.
	Addr string
	TLS  buildkit.TLS
	// Name is a builder's name in buildx.
	Name string
	// Engine is the Docker engine in use.
	Engine docker.Config
	// StartManaged starts the managed BuildKit, or finds the one that runs, and returns its
	// address.
	StartManaged func(context.Context) (addr string, err error)
	// Secrets returns the names of the variables that buildx and what it runs must not see; nil
	// stands for none.
	Secrets func() []string
}

// IsNamed reports whether a builder was named.
func (c Config) IsNamed() bool { return c.UseManaged || c.Addr != "" || c.Name != "" }

// Connect connects to the builder that Choose returns. Of a builder with several nodes it takes the
// one for the platform, which may be "".
func (c Config) Connect(
	ctx context.Context, store *imagestore.Facts, platform string,
) (Connection, error) {
	file, err := c.Engine.DockerConfig()
	if err != nil {
		return Connection{}, imagestore.StoreFailure(err)
	}
	auth := buildkit.WithRegistryAuth(authprovider.NewDockerAuthProvider(
		authprovider.DockerAuthProviderConfig{
			AuthConfigProvider: authprovider.LoadAuthConfig(file),
		}))
	opts := []buildkit.Option{auth, buildkit.WithProxies(c.proxies(file))}
	choice, err := c.Choose(ctx, store)
	if err != nil {
		return Connection{}, err
	}
	switch choice.Kind {
	case KindAddress:
		b, err := buildkit.Dial(ctx, c.Addr, c.TLS, opts...)
		return connection(b, err)
	case KindBuildx:
		return c.connectBuildx(ctx, choice.Buildx, platform, opts...)
	case KindEngine:
		if choice.ThroughSink {
			opts = append(opts, buildkit.ThroughSink())
		}
		facts := buildkit.EngineFacts{Version: choice.EngineInfo.Version,
			ContainerdStore: choice.EngineInfo.Kind == imagestore.KindContainerd}
		b, err := buildkit.ForEngine(ctx, choice.Engine, facts, opts...)
		return connection(b, err)
	default:
		b, err := c.connectManaged(ctx, opts)
		if err != nil && !c.UseManaged {
			err = fmt.Errorf("%w (%s)", err, choice.Why)
		}
		return connection(b, err)
	}
}

// proxies returns the proxies that the Docker config has for the engine in use, as `docker build`
// takes them: from nowhere else.
func (c Config) proxies(file *configfile.ConfigFile) map[string]string {
	_, host, err := c.Engine.CurrentContext()
	if err != nil {
		host = ""
	}
	proxies := map[string]string{}
	for name, value := range file.ParseProxyConfig(host, nil) {
		proxies[name] = *value
	}
	return proxies
}

// connection keeps a nil pointer from becoming an interface that is not nil.
func connection(b *buildkit.Builder, err error) (Connection, error) {
	if err != nil {
		return Connection{}, err
	}
	return Connection{Builder: b}, nil
}

func (c Config) connectManaged(
	ctx context.Context, opts []buildkit.Option,
) (*buildkit.Builder, error) {
	if c.StartManaged == nil {
		return nil, errdef.In(errdef.ManagedMissing, "", noBuilder("start",
			errors.New("this program has no managed BuildKit")))
	}
	addr, err := c.StartManaged(ctx)
	if err != nil {
		if cause := context.Cause(ctx); cause != nil {
			return nil, cause
		}
		return nil, noBuilder("start", err)
	}
	return buildkit.Dial(ctx, addr, buildkit.TLS{}, append(opts, buildkit.Managed())...)
}

// Emulated reports whether p is not the builder's own platform: it runs p by emulation, if at all.
func Emulated(b Builder, p ocispecs.Platform) bool { return !platforms.Only(b.Native()).Match(p) }

func noBuilder(op string, err error) error {
	return &buildkit.Error{Op: op, Kind: buildkit.ErrNoBuilder, Err: err}
}

// Native returns the platform of the builder that Choose returns, in the form os/arch[/variant].
// Only a builder outside the engine is connected to; the managed one need not run.
func (c Config) Native(ctx context.Context, store *imagestore.Facts) (string, error) {
	choice, err := c.Choose(ctx, store)
	if err != nil {
		return "", err
	}
	switch choice.Kind {
	case KindEngine:
		return choice.EngineInfo.Platform, nil
	case KindManaged:
		return platforms.Format(platforms.Normalize(platforms.DefaultSpec())), nil
	}
	b, err := c.Connect(ctx, store, "")
	if err != nil {
		return "", err
	}
	defer b.Close()
	return platforms.Format(b.Native()), nil
}
