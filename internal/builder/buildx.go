package builder

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"

	"git.moleculesai.app/molecule-ai/pinion/buildkit"
	"git.moleculesai.app/molecule-ai/pinion/buildkit/buildx"
	"git.moleculesai.app/molecule-ai/pinion/internal/errdef"
	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore/docker"
)

// selectionKind is the result of buildx's files and the name in the settings. Zero means that
// nothing was named or selected.
type selectionKind int

const (
	// selectedBuilder: a builder was named, or is selected in buildx.
	selectedBuilder selectionKind = iota + 1
	// selectedEngine: the name is that of the Docker context in use, which stands for the engine's
	// own BuildKit.
	selectedEngine
)

type selection struct {
	kind    selectionKind
	builder buildx.Builder // for selectedBuilder
	why     string         // human-readable
}

// selection reads which builder buildx would use.
func (c Config) selection() (selection, error) {
	folder := c.buildxFolder()
	if c.Name != "" {
		b, err := folder.Builder(c.Name)
		if errors.Is(err, buildx.ErrUnknown) {
			return c.selectByContext(err)
		}
		return selection{selectedBuilder, b, "named by its name in buildx"}, err
	}
	// The selection depends on the engine. An engine that cannot be determined is reported at its
	// first use.
	name, host, err := c.Engine.CurrentContext()
	if err != nil {
		return selection{}, nil
	}
	if name != docker.DefaultContext {
		host = name
	}
	selected, ok, err := folder.Selected(host)
	if err != nil || !ok {
		return selection{}, err
	}
	return selection{selectedBuilder, selected.Builder, selected.Why}, nil
}

// selectByContext takes the name of the Docker context in use for the engine's own BuildKit.
func (c Config) selectByContext(unknown error) (selection, error) {
	name, _, err := c.Engine.CurrentContext()
	switch {
	case err != nil:
		return selection{}, err
	case name != c.Name:
		return selection{}, errdef.In(errdef.BuilderUnknown, c.Name,
			fmt.Errorf("%w in docker buildx", unknown))
	}
	return selection{kind: selectedEngine,
		why: "the Docker engine's own BuildKit, named by the Docker context"}, nil
}

func (c Config) buildxFolder() buildx.Folder { return buildx.Find(c.Lookup, c.Engine.Dir()) }

// connectBuildx connects to the node for the platform.
func (c Config) connectBuildx(
	ctx context.Context, b buildx.Builder, platform string, opts ...buildkit.Option,
) (Connection, error) {
	nodes := b.Nodes
	if b.Driver != buildx.DriverContainer && b.Driver != buildx.DriverRemote {
		nodes = []buildx.Node{{}} // buildx chooses the node itself
	}
	return pickNode(ctx, nodes, platform,
		func(ctx context.Context, n buildx.Node) (Builder, error) {
			to, err := c.node(b, n, platform)
			if err != nil {
				return nil, noBuilder("connect", fmt.Errorf("builder %s: %w", b.Name, err))
			}
			return buildkit.DialNode(ctx, to, opts...)
		})
}

// node returns how to dial a node.
func (c Config) node(b buildx.Builder, n buildx.Node, platform string) (buildkit.Node, error) {
	to := buildkit.Node{Builder: b.Name, Name: n.Name}
	switch b.Driver {
	case buildx.DriverRemote:
		tls, err := n.TLS()
		to.Addr, to.TLS = n.Endpoint, buildkit.TLS(tls)
		return to, err
	case buildx.DriverContainer:
		to.Dial = func(ctx context.Context) (net.Conn, error) {
			e, err := docker.Dial(c.Engine.At(n.Endpoint))
			if err != nil {
				return nil, err
			}
			defer e.Close()
			return e.DialContainer(ctx, n.Container(), "buildctl", "dial-stdio")
		}
		return to, nil
	}
	// Only buildx knows the way, to Kubernetes for one.
	plugin, err := c.plugin()
	if err != nil {
		return to, errdef.In(errdef.BuildxMissing, "",
			fmt.Errorf("the driver %s is reached through docker buildx: %w", b.Driver, err))
	}
	to.Dial = func(ctx context.Context) (net.Conn, error) {
		return plugin.Dial(ctx, c.buildxFolder(), b, platform)
	}
	return to, nil
}

// plugin returns the buildx plugin. It sees the engine in use, however that was named, and none of
// Pinion's own secrets.
func (c Config) plugin() (buildx.Plugin, error) {
	file, err := c.Engine.DockerConfig()
	if err != nil {
		return buildx.Plugin{}, err
	}
	plugin, err := buildx.FindPlugin(c.Lookup, c.Engine.Dir(), file.CLIPluginsExtraDirs)
	var env []string
	if c.Secrets != nil {
		for _, name := range c.Secrets() {
			env = append(env, name+"=")
		}
	}
	return plugin.With(append(env, c.Engine.Environ()...)), err
}

// BuildRef returns buildx's name for a build, "builder/node/ref". It is empty if buildx does not
// know the builder, or chose the node itself and did not say which.
func (c Config) BuildRef(by buildkit.Info, ref string) string {
	switch by.Kind {
	case buildkit.KindBuildx:
		if strings.Contains(by.Endpoint, "/") {
			return by.Endpoint + "/" + ref
		}
	case buildkit.KindDocker:
		// buildx calls the engine's own BuildKit and its one node by the Docker context.
		if name, _, err := c.Engine.CurrentContext(); err == nil {
			return name + "/" + name + "/" + ref
		}
	}
	return ""
}
