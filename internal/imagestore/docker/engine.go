package docker

import (
	"context"
	"fmt"
	"net"
	"strings"
	"sync/atomic"
	"time"

	"github.com/moby/moby/client"
	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel/propagation"

	"git.moleculesai.app/molecule-ai/pinion/internal/errdef"
	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore"
	"git.moleculesai.app/molecule-ai/pinion/internal/registry"
)

// apiVersionEnv is Docker's variable that sets the version of the API by hand.
const apiVersionEnv = "DOCKER_API_VERSION"

// Engine is a client of one Docker engine. It is safe for concurrent use.
type Engine struct {
	api      *client.Client
	endpoint string
	logins   registry.Logins
	// stallAfter is the constant of that name, except in tests.
	stallAfter time.Duration
	// fixedVersion is the version of the API that the user has set, or "".
	fixedVersion string
	// negotiated reports whether the API version has been agreed on. That happens once.
	negotiated atomic.Bool
}

// Dial finds the engine of the configuration. It reads the Docker config and contexts, and does not
// contact the engine. Errors are *imagestore.Error with ErrConfig.
func Dial(cfg Config) (*Engine, error) {
	e, err := dial(cfg)
	if err != nil {
		return nil, &imagestore.Error{Op: "dial", Origin: imagestore.OriginDocker, Err: err}
	}
	return e, nil
}

func dial(cfg Config) (*Engine, error) {
	file, err := cfg.DockerConfig()
	if err != nil {
		return nil, err
	}
	logins, err := cfg.logins(file)
	if err != nil {
		return nil, err
	}
	target, err := cfg.target(file)
	if err != nil {
		return nil, err
	}
	opts, err := transportOptions(target)
	if err != nil {
		return nil, err
	}
	fixed := strings.TrimSpace(cfg.get(apiVersionEnv))
	if _, err := client.New(client.WithAPIVersion(fixed)); err != nil {
		return nil, errdef.In(errdef.APIVersionFixed, fixed,
			fmt.Errorf("%w: %s: %w", ErrConfig, apiVersionEnv, err))
	}
	opts = append(opts, client.WithUserAgent("pinion"), client.WithAPIVersion(fixed),
		client.WithHTTPResponseHook(noteProxy),
		client.WithTraceOptions(otelhttp.WithPropagators(propagation.TraceContext{})))
	if len(file.HTTPHeaders) > 0 {
		opts = append(opts, client.WithHTTPHeaders(file.HTTPHeaders))
	}
	api, err := client.New(opts...)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrConfig, err)
	}
	return &Engine{api: api, endpoint: endpointOf(target.Host), logins: logins, fixedVersion: fixed,
		stallAfter: stallAfter}, nil
}

// Endpoint is the engine's address, for example unix:///var/run/docker.sock. It stays the same as
// long as the configuration leads to the same address. It holds no password.
func (e *Engine) Endpoint() string { return e.endpoint }

// Client is the client of the Engine API, for requests that this package does not make, such as
// those for containers.
func (e *Engine) Client() *client.Client { return e.api }

// Close frees idle connections. Connections from DialHijack stay open.
func (e *Engine) Close() error { return e.api.Close() }

// DialHijack opens a raw connection over the Engine API, as BuildKit's endpoints /grpc and /session
// require it (POST with Upgrade: proto, usually h2c). url is a path without an API version. Errors
// are *imagestore.Error.
func (e *Engine) DialHijack(
	ctx context.Context, url, proto string, meta map[string][]string,
) (net.Conn, error) {
	ctx = withNote(ctx)
	conn, err := e.api.DialHijack(ctx, url, proto, meta)
	if err != nil {
		if strings.HasSuffix(err.Error(), "received 404") { // moby, client/hijack.go
			err = errdef.In(errdef.EngineWithoutBuildKit, "",
				fmt.Errorf("the engine at %s has no BuildKit: %w", e.endpoint, err))
		}
		return nil, e.fail(ctx, "hijack", url, err)
	}
	return conn, nil
}

// apiVersion returns the Engine API version that client and engine agreed on. It asks the engine if
// that has not happened yet.
func (e *Engine) apiVersion(ctx context.Context) (string, error) {
	if !e.negotiated.Load() {
		if _, err := e.api.Ping(ctx, client.PingOptions{NegotiateAPIVersion: true}); err != nil {
			return "", err
		}
		e.negotiated.Store(true)
	}
	return e.api.ClientVersion(), nil
}
