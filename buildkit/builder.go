package buildkit

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/containerd/platforms"
	"github.com/moby/buildkit/client"
	"github.com/moby/buildkit/session"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"

	// The address forms that BuildKit's own tools understand besides unix:// and tcp://.
	_ "github.com/moby/buildkit/client/connhelper/dockercontainer"
	_ "github.com/moby/buildkit/client/connhelper/kubepod"
	_ "github.com/moby/buildkit/client/connhelper/ssh"
)

// Kind says what sort of builder solves.
type Kind string

const (
	// KindDocker is the BuildKit inside the Docker engine that also holds the image store.
	KindDocker Kind = "docker"
	// KindBuildkitd is a standalone buildkitd.
	KindBuildkitd Kind = "buildkitd"
	// KindManaged is a standalone buildkitd that Pinion starts and ends itself.
	KindManaged Kind = "managed"
	// KindBuildx is a node of a builder of Docker's buildx.
	KindBuildx Kind = "buildx"
)

// answerWithin bounds the first question to a builder. It is long enough for an SSH login or the
// start of `docker exec`, short enough for a person to wait.
const answerWithin = 20 * time.Second

// Info describes a builder.
type Info struct {
	Kind Kind `json:"kind"`
	// Endpoint is the address; for [KindBuildx] the builder's name and after a slash the node's.
	Endpoint string `json:"endpoint"`
	// Version of BuildKit as the builder reports it; the one inside Docker 20.10 reports none, and
	// the engine's version stands for it.
	Version string `json:"version"`
	// Engine is the Docker engine's version, for [KindDocker].
	Engine string `json:"engine,omitempty"`
}

// Builder is a BuildKit that answered. It is safe for concurrent use; Close it when done.
type Builder struct {
	info      Info
	client    *client.Client
	platforms []ocispecs.Platform
	// containerdStore is known of a Docker engine alone.
	containerdStore bool
	throughSink     bool
	registry        session.Attachable
	// dialSession is the way to a session beside the client's own; nil means that the API has one.
	dialSession session.Dialer
}

// TLS names the files for a tcp:// builder. All empty means no TLS.
type TLS struct {
	CACert, Cert, Key string
	// ServerName overrides the name that the certificate is checked against.
	ServerName string
}

// Option adjusts a Builder.
type Option func(*Builder)

// WithRegistryAuth answers the builder's questions for registry credentials (the images in FROM).
// The default is to answer none.
func WithRegistryAuth(a session.Attachable) Option { return func(b *Builder) { b.registry = a } }

// Managed says that Pinion started the buildkitd which [Dial] connects to. The default is that
// somebody else did.
func Managed() Option { return func(b *Builder) { b.info.Kind = KindManaged } }

// ThroughSink says that a Docker engine's images go into the sink, like those of a builder outside
// of it. It has to have the containerd store: the classic one exports no layers. The default is the
// engine's own store.
func ThroughSink() Option { return func(b *Builder) { b.throughSink = true } }

// Dial connects to a standalone buildkitd. The address is in BuildKit's own forms: unix://, tcp://,
// docker-container://, ssh://. The error is an [*Error] of kind [ErrNoBuilder].
func Dial(ctx context.Context, addr string, tls TLS, opts ...Option) (*Builder, error) {
	b := &Builder{info: Info{Kind: KindBuildkitd, Endpoint: addr}}
	return b.connect(ctx, addr, tls.options(), opts)
}

func (t TLS) options() (opts []client.ClientOpt) {
	switch {
	case t.CACert != "":
		opts = append(opts, client.WithServerConfig(t.ServerName, t.CACert))
	case t != TLS{}:
		opts = append(opts, client.WithServerConfigSystem(t.ServerName))
	}
	if t.Cert != "" || t.Key != "" {
		opts = append(opts, client.WithCredentials(t.Cert, t.Key))
	}
	return opts
}

// Engine is what this package needs of a Docker engine: its upgrade of /grpc and /session.
type Engine interface {
	DialHijack(ctx context.Context, path, proto string, meta map[string][]string) (net.Conn, error)
	Endpoint() string
}

// EngineFacts are what the caller knows of the engine and BuildKit does not tell.
type EngineFacts struct {
	// Version of the engine.
	Version string
	// ContainerdStore says that images live in containerd's store.
	ContainerdStore bool
}

// ForEngine connects to the BuildKit inside a Docker engine. The error is an [*Error] of kind
// [ErrNoBuilder].
func ForEngine(ctx context.Context, e Engine, facts EngineFacts, opts ...Option) (*Builder, error) {
	b := &Builder{
		info:            Info{Kind: KindDocker, Endpoint: e.Endpoint(), Engine: facts.Version},
		containerdStore: facts.ContainerdStore,
	}
	b.dialSession = func(ctx context.Context, proto string,
		meta map[string][]string) (net.Conn, error) {
		return e.DialHijack(ctx, "/session", proto, meta)
	}
	dial := []client.ClientOpt{
		client.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) {
			return e.DialHijack(ctx, "/grpc", "h2c", nil)
		}),
		client.WithSessionDialer(b.dialSession),
	}
	return b.connect(ctx, "", dial, opts)
}

func (b *Builder) connect(ctx context.Context, addr string, dial []client.ClientOpt,
	opts []Option) (*Builder, error) {
	for _, o := range opts {
		o(b)
	}
	c, err := client.New(ctx, addr, dial...)
	if err != nil {
		return nil, b.noAnswer(err)
	}
	b.client = c
	if err := b.ask(ctx); err != nil {
		c.Close()
		return nil, b.noAnswer(err)
	}
	return b, nil
}

// ask makes sure that somebody answers, and learns the platforms and the version.
func (b *Builder) ask(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, answerWithin,
		fmt.Errorf("no answer within %s", answerWithin))
	defer cancel()
	workers, err := b.client.ListWorkers(ctx)
	if err != nil {
		return errors.Join(err, context.Cause(ctx))
	}
	if len(workers) == 0 || len(workers[0].Platforms) == 0 {
		return errors.New("it has no worker that runs a platform")
	}
	// Like BuildKit itself, which gives a solve without constraints to its first worker.
	b.platforms = workers[0].Platforms
	// Info is younger than the rest of the API; a builder without it works all the same.
	if info, err := b.client.Info(ctx); err == nil {
		b.info.Version = info.BuildkitVersion.Version
	}
	b.info.Version = cmp.Or(b.info.Version, b.info.Engine)
	return nil
}

func (b *Builder) noAnswer(err error) error {
	hint := "is buildkitd running there? (--addr or BUILDKIT_HOST named it)"
	switch b.info.Kind {
	case KindDocker:
		hint = "is the Docker engine running, version 20.10 or later?"
	case KindManaged:
		hint = "see `pinion builder status` and `pinion builder logs`"
	case KindBuildx:
		hint = "start it with `" + b.info.bootstrap() +
			"`, or choose another with `docker buildx use` or --builder"
	}
	return &Error{Op: "connect", Kind: ErrNoBuilder,
		Err: fmt.Errorf("builder %s: %w; %s", b.info.Endpoint, err, hint)}
}

// Info describes the builder.
func (b *Builder) Info() Info { return b.info }

// Close ends the connection.
func (b *Builder) Close() error { return b.client.Close() }

// Native is the builder's own platform.
func (b *Builder) Native() ocispecs.Platform { return platforms.Normalize(b.platforms[0]) }

// RequirePlatform returns an [*Error] of kind [ErrPlatform] that says what to install unless the
// builder can run p, natively or emulated.
func (b *Builder) RequirePlatform(p ocispecs.Platform) error {
	var have []string
	for _, q := range b.platforms {
		if platforms.OnlyStrict(p).Match(q) {
			return nil
		}
		if name := platforms.Format(q); !slices.Contains(have, name) {
			have = append(have, name)
		}
	}
	return &Error{Op: "connect", Kind: ErrPlatform,
		Err: fmt.Errorf("builder %s cannot run %s, only %s; "+
			"install emulation on its machine (`docker run --privileged --rm tonistiigi/binfmt "+
			"--install %s`, or the packages "+
			"qemu-user-static and binfmt-support) and restart the builder, or set "+
			"MOLECULE_IMAGE_PLATFORM=native",
			b.info.Endpoint, platforms.Format(p), strings.Join(have, ", "), p.Architecture)}
}

// alive asks again, to tell a builder that died from a build that failed.
func (b *Builder) alive(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	_, err := b.client.ListWorkers(ctx)
	return err
}
