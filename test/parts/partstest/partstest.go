// Package partstest joins package parts to tests: parts that end with the test, and tests that need
// a part which this machine lacks.
package partstest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"git.moleculesai.app/molecule-ai/pinion/test/parts"
)

// startTimeout bounds the start of one part on a busy machine.
const startTimeout = 2 * time.Minute

// Need skips the test, with one line that says how to get what is missing, if this machine cannot
// run one of the parts (see parts.Available for their names). Under -short it skips too. With
// CI=true a missing part fails the test: a suite that silently ran nothing proves nothing.
func Need(t testing.TB, names ...string) {
	t.Helper()
	if testing.Short() {
		t.Skip("skipped: real parts are not started under -short")
	}
	for _, name := range names {
		err := parts.Available(t.Context(), name)
		switch {
		case err == nil:
		case os.Getenv("CI") == "true":
			t.Fatalf("this test needs %s, and CI=true lets none be missing: %v", name, err)
		case errors.Is(err, parts.ErrMissing) || errors.Is(err, parts.ErrNeedsRoot):
			t.Skipf("SKIPPED, NOTHING TESTED: needs %s: %v", name, err)
		default:
			t.Fatalf("look for %s: %v", name, err)
		}
	}
}

// Gitea starts a Gitea that ends with the test.
func Gitea(t testing.TB) *parts.Gitea {
	t.Helper()
	Need(t, "gitea")
	return start(t, func(ctx context.Context) (*parts.Gitea, error) {
		return parts.StartGitea(ctx, Dir(t))
	})
}

// Buildkitd starts a buildkitd that ends with the test.
func Buildkitd(t testing.TB, opts parts.BuildkitdOptions) *parts.Buildkitd {
	t.Helper()
	Need(t, "buildkitd")
	return start(t, func(ctx context.Context) (*parts.Buildkitd, error) {
		return parts.StartBuildkitd(ctx, Dir(t), opts)
	})
}

// Dockerd starts a Docker engine that ends with the test.
func Dockerd(t testing.TB, flavour parts.Flavour, opts ...parts.DockerdOption) *parts.Dockerd {
	t.Helper()
	Need(t, string(flavour))
	return start(t, func(ctx context.Context) (*parts.Dockerd, error) {
		return parts.StartDockerd(ctx, Dir(t), flavour, opts...)
	})
}

// Registry starts a registry that ends with the test.
func Registry(t testing.TB, opts parts.RegistryOptions) *parts.Registry {
	t.Helper()
	Need(t, "registry")
	return start(t, func(ctx context.Context) (*parts.Registry, error) {
		return parts.StartRegistry(ctx, Dir(t), opts)
	})
}

// GitHTTP starts a plain git server that ends with the test.
func GitHTTP(t testing.TB) *parts.GitHTTP {
	t.Helper()
	Need(t, "git")
	return start(t, func(context.Context) (*parts.GitHTTP, error) {
		return parts.StartGitHTTP(Dir(t))
	})
}

// Proxy starts a proxy before a URL or, if target begins with "unix://", before a socket. It ends
// with the test.
func Proxy(t testing.TB, target string) *parts.Proxy {
	t.Helper()
	return start(t, func(context.Context) (*parts.Proxy, error) {
		if socket, ok := strings.CutPrefix(target, "unix://"); ok {
			return parts.NewSocketProxy(socket)
		}
		return parts.NewProxy(target)
	})
}

// BusyboxTemplate is parts.BusyboxTemplate for a test that needs it.
func BusyboxTemplate(t testing.TB, lines ...string) []parts.File {
	t.Helper()
	Need(t, "busybox")
	files, err := parts.BusyboxTemplate(lines...)
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// Dir makes a folder that is removed after the test. Its path is short, unlike t.TempDir's, and
// what the test put there is removed even if it is read-only.
func Dir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", fmt.Sprintf("pinion%d-", os.Getpid()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Errorf("remove the part's folder: %v", err)
		}
	})
	return dir
}

type part interface{ Close() error }

func start[P part](t testing.TB, run func(context.Context) (P, error)) P {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), startTimeout)
	defer cancel()
	p, err := run(ctx)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Errorf("end a part: %v", err)
		}
		if l, ok := any(p).(interface{ Log() string }); ok && t.Failed() {
			t.Log(tail(l.Log()))
		}
	})
	return p
}

// tail returns the end of a log for a failed test's output.
func tail(path string) string {
	const limit = 8 << 10
	body, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	return fmt.Sprintf("the end of %s:\n%s", path, body[max(0, len(body)-limit):])
}
