package buildkit

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync/atomic"
	"time"

	"github.com/containerd/platforms"
	"github.com/moby/buildkit/client"
	"github.com/moby/buildkit/session"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"

	// The address forms of BuildKit's own tools besides unix:// and tcp://.
	_ "github.com/moby/buildkit/client/connhelper/dockercontainer"
	_ "github.com/moby/buildkit/client/connhelper/kubepod"
	_ "github.com/moby/buildkit/client/connhelper/ssh"

	"git.moleculesai.app/molecule-ai/pinion/internal/errdef"
	"git.moleculesai.app/molecule-ai/pinion/internal/errtext"
)

// Kind is a kind of builder.
type Kind string

const (
	// KindDocker is the BuildKit inside the Docker engine that also holds the image store.
	KindDocker Kind = "docker"
	// KindBuildkitd is a standalone buildkitd.
	KindBuildkitd Kind = "buildkitd"
	// KindManaged is a standalone buildkitd that Pinion starts and stops itself.
	KindManaged Kind = "managed"
	// KindBuildx is a node of a builder of Docker's buildx.
	KindBuildx Kind = "buildx"
)

const (
	// connectTimeout bounds the first call to a builder. It leaves time for an SSH login or the
	// start of `docker exec`.
	connectTimeout = 20 * time.Second
	// aliveTimeout bounds the call that shows whether a builder still answers.
	aliveTimeout = 5 * time.Second
)

// Info describes a builder.
type Info struct {
	Kind Kind `json:"kind"`
	// Endpoint is the address. For [KindBuildx] it is the name of the builder, followed by a slash
	// and the name of the node unless buildx chose the node.
	Endpoint string `json:"endpoint"`
	// Version is BuildKit's version. The BuildKit inside Docker 20.10 reports none; Version is the
	// engine's version there.
	Version string `json:"version"`
	// Engine is the Docker engine's version, for [KindDocker].
	Engine string `json:"engine,omitempty"`
}

// Builder is a connection to a BuildKit. It is safe for concurrent use. The caller must Close it.
type Builder struct {
	info      Info
	client    *client.Client
	platforms []ocispecs.Platform
	// containerdStore is set only for a Docker engine.
	containerdStore bool
	throughSink     bool
	// proxies are predefined build arguments, such as HTTP_PROXY.
	proxies  map[string]string
	registry session.Attachable
	// dialSession connects a session; nil means through the client's API.
	dialSession session.Dialer
	// dialed and session are the last failures to reach the BuildKit inside an engine and to begin
	// a session with it. gRPC passes on their texts alone, or what they lead to.
	dialed  atomic.Pointer[error]
	session atomic.Pointer[Error]
}

// Option configures a Builder.
type Option func(*Builder)

// WithRegistryAuth answers the builder's requests for registry credentials, as for the images in
// FROM. By default none is answered.
func WithRegistryAuth(a session.Attachable) Option { return func(b *Builder) { b.registry = a } }

// WithProxies passes the proxies of the Docker config to the steps of a build, as the predefined
// build arguments that BuildKit leaves out of the cache key (HTTP_PROXY and its like). The default
// is none.
func WithProxies(args map[string]string) Option { return func(b *Builder) { b.proxies = args } }

// Managed marks the buildkitd that [Dial] connects to as started by Pinion. By default the kind is
// [KindBuildkitd].
func Managed() Option { return func(b *Builder) { b.info.Kind = KindManaged } }

// ThroughSink delivers a Docker engine's images into the sink, like those of a builder outside of
// an engine. The engine must have the containerd store, since the classic store exports no layers.
// By default images go into the engine's own store.
func ThroughSink() Option { return func(b *Builder) { b.throughSink = true } }

// Dial connects to a standalone buildkitd. The address has one of BuildKit's forms: unix://,
// tcp://, docker-container://, kube-pod:// or ssh://. The error is an [*Error] of kind
// [ErrNoBuilder].
func Dial(ctx context.Context, addr string, tls TLS, opts ...Option) (*Builder, error) {
	b := &Builder{info: Info{Kind: KindBuildkitd, Endpoint: addr}}
	return b.connect(ctx, addr, tls.options(), opts)
}

// Engine is the part of a Docker engine that this package uses: the upgrade of /grpc and /session.
type Engine interface {
	DialHijack(ctx context.Context, path, proto string, meta map[string][]string) (net.Conn, error)
	Endpoint() string
}

// EngineFacts describes an engine. BuildKit does not report these facts.
type EngineFacts struct {
	// Version of the engine.
	Version string
	// ContainerdStore reports whether the engine keeps images in containerd's store.
	ContainerdStore bool
}

// ForEngine connects to the BuildKit inside a Docker engine. The error is an [*Error] of kind
// [ErrNoBuilder].
func ForEngine(ctx context.Context, e Engine, facts EngineFacts, opts ...Option) (*Builder, error) {
	b := &Builder{
		info:            Info{Kind: KindDocker, Endpoint: e.Endpoint(), Engine: facts.Version},
		containerdStore: facts.ContainerdStore,
	}
	b.dialSession = func(
		ctx context.Context, proto string, meta map[string][]string,
	) (net.Conn, error) {
		conn, err := e.DialHijack(ctx, "/session", proto, meta)
		if err != nil {
			b.session.Store(b.connectError(err))
		}
		return conn, err
	}
	dial := []client.ClientOpt{
		client.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) {
			conn, err := e.DialHijack(ctx, "/grpc", "h2c", nil)
			if err != nil {
				b.dialed.Store(&err)
			}
			return conn, err
		}),
		client.WithSessionDialer(b.dialSession),
	}
	return b.connect(ctx, "", dial, opts)
}

func (b *Builder) connect(
	ctx context.Context, addr string, dial []client.ClientOpt, opts []Option,
) (*Builder, error) {
	for _, o := range opts {
		o(b)
	}
	c, err := client.New(ctx, addr, dial...)
	if err != nil {
		return nil, b.connectError(err)
	}
	b.client = c
	if err := b.probe(ctx); err != nil {
		c.Close()
		if dialed := b.dialed.Load(); dialed != nil && ctx.Err() == nil {
			err = *dialed
		}
		return nil, b.connectError(err)
	}
	return b, nil
}

// probe asks the builder for its platforms and its version.
func (b *Builder) probe(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, connectTimeout,
		fmt.Errorf("no answer within %s", connectTimeout))
	defer cancel()
	workers, err := b.client.ListWorkers(ctx)
	if err != nil {
		return errors.Join(err, context.Cause(ctx))
	}
	if len(workers) == 0 || len(workers[0].Platforms) == 0 {
		return errors.New("it has no worker that runs a platform")
	}
	// BuildKit gives a solve without constraints to its first worker.
	b.platforms = workers[0].Platforms
	// Old builders have no Info and work without it.
	if info, err := b.client.Info(ctx); err == nil {
		b.info.Version = info.BuildkitVersion.Version
	}
	b.info.Version = cmp.Or(b.info.Version, b.info.Engine)
	return nil
}

func (b *Builder) connectError(err error) *Error {
	err = fmt.Errorf("builder %s: %w", b.info.Endpoint, errtext.Plain(err))
	if situation, _ := errdef.SituationOf(err); situation == "" {
		situation, detail := b.info.down()
		err = errdef.In(situation, detail, err)
	}
	return &Error{Op: "connect", Kind: ErrNoBuilder, Err: err}
}

// down returns the situation of a builder that does not answer, and its detail.
func (i Info) down() (situation errdef.Situation, detail string) {
	switch i.Kind {
	case KindDocker:
		return errdef.EngineUnreachable, i.Endpoint
	case KindManaged:
		return errdef.ManagedBuilderDown, ""
	case KindBuildx:
		name, _, _ := strings.Cut(i.Endpoint, "/") // a name in buildx has no slash
		return errdef.BuildxBuilderDown, name
	}
	return errdef.BuilderDown, i.Endpoint
}

// Info returns a description of the builder.
func (b *Builder) Info() Info { return b.info }

// Close ends the connection.
func (b *Builder) Close() error { return b.client.Close() }

// Native returns the builder's own platform.
func (b *Builder) Native() ocispecs.Platform { return platforms.Normalize(b.platforms[0]) }

// alive returns an error if the builder does not answer any more.
func (b *Builder) alive(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), aliveTimeout)
	defer cancel()
	_, err := b.client.ListWorkers(ctx)
	return err
}
