package pinion

import (
	"context"
	"errors"
	"fmt"
	"net"

	"git.moleculesai.app/molecule-ai/pinion/buildkit"
	"git.moleculesai.app/molecule-ai/pinion/buildkit/buildx"
	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore/docker"
)

// chooseBuildx reads what buildx would take. own says that a name means the engine's own BuildKit;
// without it and without a builder nothing was named or selected.
func (s settings) chooseBuildx() (c choice, own bool, err error) {
	c, own, err = s.lookIntoBuildx()
	if err != nil {
		err = &buildkit.Error{Op: "choose", Kind: ErrNoBuilder, Err: err}
	}
	return c, own, err
}

func (s settings) lookIntoBuildx() (c choice, own bool, err error) {
	cfg := s.engineConfig()
	folder := s.buildxFolder()
	if s.builder != "" {
		b, err := folder.Builder(s.builder)
		if errors.Is(err, buildx.ErrUnknown) {
			return s.byContext(cfg, err)
		}
		return choice{buildx: &b, why: "named by --builder or " + EnvBuildxBuilder}, false, err
	}
	// The selection goes by the engine. Where that cannot be told, whoever needs the engine has the
	// better error.
	name, host, err := cfg.CurrentContext()
	if err != nil {
		return choice{}, false, nil
	}
	if name != docker.DefaultContext {
		host = name
	}
	selected, ok, err := folder.Selected(host)
	if err != nil || !ok {
		return choice{}, false, err
	}
	return choice{buildx: &selected.Builder, why: selected.Why}, false, nil
}

// byContext takes the engine's own BuildKit for the name of the Docker context in use.
func (s settings) byContext(cfg docker.Config,
	unknown error) (c choice, own bool, err error) {
	name, _, err := cfg.CurrentContext()
	switch {
	case err != nil:
		return choice{}, false, err
	case name != s.builder:
		return choice{}, false,
			fmt.Errorf("%w in docker buildx (named by --builder or %s); see `docker buildx ls`. "+
				"If it is a Docker context, name that with --context", unknown, EnvBuildxBuilder)
	}
	return choice{why: "the Docker engine's own BuildKit, named by --builder or " +
		EnvBuildxBuilder}, true, nil
}

func (s settings) buildxFolder() buildx.Folder {
	return buildx.Find(s.lookup, s.engineConfig().Dir())
}

// connectBuildx connects to the node for the platform.
func (s settings) connectBuildx(ctx context.Context, b buildx.Builder, platform string,
	opts ...buildkit.Option) (solver, error) {
	switch b.Driver {
	case buildx.DriverContainer, buildx.DriverRemote:
		return pickNode(ctx, b.Nodes, platform,
			func(ctx context.Context, n buildx.Node) (solver, error) {
				reach, err := s.reach(b, n)
				if err != nil {
					return nil, &buildkit.Error{Op: "connect", Kind: ErrNoBuilder,
						Err: fmt.Errorf("builder %s: %w", b.Name, err)}
				}
				return buildkit.DialNode(ctx, reach, opts...)
			})
	}
	// buildx picks the node itself.
	return pickNode(ctx, []buildx.Node{{}}, platform,
		func(ctx context.Context, _ buildx.Node) (solver, error) {
			dial, err := s.throughPlugin(b, platform)
			if err != nil {
				return nil, &buildkit.Error{Op: "connect", Kind: ErrNoBuilder, Err: err}
			}
			return buildkit.DialNode(ctx, buildkit.Node{Builder: b.Name, Dial: dial}, opts...)
		})
}

// reach says how a node is dialled.
func (s settings) reach(b buildx.Builder, n buildx.Node) (buildkit.Node, error) {
	to := buildkit.Node{Builder: b.Name, Name: n.Name}
	if b.Driver == buildx.DriverRemote {
		tls, err := n.TLS()
		to.Addr, to.TLS = n.Endpoint, buildkit.TLS(tls)
		return to, err
	}
	to.Dial = func(ctx context.Context) (net.Conn, error) {
		e, err := docker.Dial(s.engineConfig().At(n.Endpoint))
		if err != nil {
			return nil, err
		}
		defer e.Close()
		return e.DialContainer(ctx, n.Container(), "buildctl", "dial-stdio")
	}
	return to, nil
}

// throughPlugin is the way to a driver that only buildx knows, Kubernetes for one.
func (s settings) throughPlugin(b buildx.Builder,
	platform string) (func(context.Context) (net.Conn, error), error) {
	plugin, err := s.buildxPlugin()
	if err != nil {
		return nil,
			fmt.Errorf("builder %s with the driver %s is reached through docker buildx: %w; "+
				"install it, or name another builder", b.Name, b.Driver, err)
	}
	return func(ctx context.Context) (net.Conn, error) {
		return plugin.Dial(ctx, s.buildxFolder(), b, platform)
	}, nil
}

// buildxPlugin is the plugin, told of the engine in use, however that was named. It and what it
// calls have no use for Pinion's own secrets.
func (s settings) buildxPlugin() (buildx.Plugin, error) {
	cfg := s.engineConfig()
	file, err := cfg.DockerConfig()
	if err != nil {
		return buildx.Plugin{}, err
	}
	plugin, err := buildx.FindPlugin(s.lookup, cfg.Dir(), file.CLIPluginsExtraDirs)
	var env []string
	for _, name := range s.secrets {
		env = append(env, name+"=")
	}
	return plugin.With(append(env, cfg.Environ()...)), err
}
