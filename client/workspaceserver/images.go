package workspaceserver

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"strings"
	"sync"
	"time"

	"git.moleculesai.app/molecule-ai/pinion/client"
)

const (
	// serverEnv is the address of a server that runs already.
	serverEnv = "PINION_SERVER"
	// tokenEnv is the token for it.
	tokenEnv = "PINION_SERVE_TOKEN"
)

// Images ensures images of runtimes. The zero value is ready to use.
type Images struct {
	// Connect returns the client of a server. It is called until it succeeds once. The default
	// uses PINION_SERVER or [client.Start].
	Connect func(context.Context) (*client.Client, error)
	// Logf logs a line. The default is log.Printf.
	Logf func(format string, args ...any)
	// OnEvent, unless it is nil, is called with each event of a build.
	OnEvent func(client.Event)

	mu     sync.Mutex
	client *client.Client
}

var std Images

// EnsureLocalImage returns the name of the image of a runtime's current commit, which is in the
// image store by then. In SaaS mode it returns the registry's name and makes no request.
func EnsureLocalImage(ctx context.Context, runtime string) (string, error) {
	return std.EnsureLocalImage(ctx, runtime)
}

// EnsureLocalImage does what the function of this name does. With a registry no server is asked, so
// an image that the server's catalogue gives is returned by Ensure alone.
func (i *Images) EnsureLocalImage(ctx context.Context, runtime string) (string, error) {
	if src := Resolve(); src.Mode == RegistryModeSaaS {
		if strings.TrimSpace(src.Prefix) == "" {
			return "", fmt.Errorf("%s consists of blanks: it is neither a registry nor unset",
				registryEnv)
		}
		return src.Prefix + "/workspace-template-" + runtime + ":latest", nil
	}
	img, err := i.Ensure(ctx, runtime)
	return img.Reference, err
}

// Ensure returns the image of a runtime's current commit. Containers made from its ID are of this
// commit even if its name is moved.
func (i *Images) Ensure(ctx context.Context, runtime string) (client.Image, error) {
	c, err := i.connect(ctx)
	if err != nil {
		return client.Image{}, fmt.Errorf("local-build: %w", err)
	}
	n := &narrator{logf: i.logf, runtime: runtime, begun: time.Now()}
	img, err := c.Ensure(ctx, runtime, func(e client.Event) {
		n.event(e)
		if i.OnEvent != nil {
			i.OnEvent(e)
		}
	})
	if err != nil {
		n.failed(err)
		return client.Image{}, explain(runtime, err)
	}
	return img, nil
}

func (i *Images) connect(ctx context.Context) (*client.Client, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.client != nil {
		return i.client, nil
	}
	connect := i.Connect
	if connect == nil {
		connect = fromEnv
	}
	c, err := connect(ctx)
	if err == nil {
		i.client = c
	}
	return c, err
}

func fromEnv(ctx context.Context) (*client.Client, error) {
	if address := os.Getenv(serverEnv); address != "" {
		return client.New(address, client.WithToken(os.Getenv(tokenEnv)))
	}
	return client.Start(ctx)
}

func (i *Images) logf(format string, args ...any) {
	if i.Logf != nil {
		i.Logf(format, args...)
		return
	}
	log.Printf(format, args...)
}

// explain adds the words by which the platform's own tests and runbooks know a failure.
func explain(runtime string, err error) error {
	var e *client.Error
	if !errors.As(err, &e) {
		return fmt.Errorf("local-build: %w", err)
	}
	switch {
	case e.Class == client.ClassNotFound && e.Origin == "catalogue":
		return fmt.Errorf("local-build: refusing to build unknown runtime %q: %w", runtime, err)
	case e.Origin == "git server":
		return fmt.Errorf("local-build: cannot determine HEAD sha of %s: %w", runtime, err)
	case e.Class == client.ClassBuild:
		return fmt.Errorf("local-build: docker build of %s: %w", runtime, err)
	default:
		return fmt.Errorf("local-build: %w", err)
	}
}
