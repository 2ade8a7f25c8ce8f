package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"git.moleculesai.app/molecule-ai/pinion/test/parts"
	"git.moleculesai.app/molecule-ai/pinion/test/parts/partstest"
)

// startTimeout bounds the start of one part on a busy machine.
const startTimeout = 2 * time.Minute

// shared are the parts that the tests use together. Each starts when the first test needs it.
var shared = &sharedParts{running: map[string]part{}}

func TestMain(m *testing.M) {
	code := m.Run()
	if err := shared.close(); err != nil {
		fmt.Fprintln(os.Stderr, "end the shared parts:", err)
		code = max(code, 1)
	}
	os.Exit(code)
}

type part interface{ Close() error }

// sharedParts is a set of running parts, by name.
type sharedParts struct {
	mu      sync.Mutex
	running map[string]part
	dirs    []string
}

// join returns the shared part of that name, and starts it if there is none. Skips the test where
// the machine cannot run it.
func join[P part](
	t *testing.T, name string, start func(ctx context.Context, dir string) (P, error),
) P {
	t.Helper()
	partstest.Need(t, name)
	return keep(t, name, start)
}

// keep is join for what is asked for by another name than that of a part.
func keep[P part](
	t *testing.T, name string, start func(ctx context.Context, dir string) (P, error),
) P {
	t.Helper()
	shared.mu.Lock()
	defer shared.mu.Unlock()
	if p, ok := shared.running[name].(P); ok {
		return p
	}
	dir, err := os.MkdirTemp("", "pinion-e2e-")
	if err != nil {
		t.Fatal(err)
	}
	shared.dirs = append(shared.dirs, dir)
	ctx, cancel := context.WithTimeout(t.Context(), startTimeout)
	defer cancel()
	p, err := start(ctx, dir)
	if err != nil {
		t.Fatal(err)
	}
	shared.running[name] = p
	return p
}

func (e *sharedParts) close() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	var failed []error
	for _, p := range e.running {
		failed = append(failed, p.Close())
	}
	for _, dir := range slices.Backward(e.dirs) {
		failed = append(failed, os.RemoveAll(dir))
	}
	return errors.Join(failed...)
}

func gitea(t *testing.T) *parts.Gitea {
	t.Helper()
	return join(t, parts.NameGitea, parts.StartGitea)
}

func engine(t *testing.T, flavour parts.Flavour) *parts.Dockerd {
	t.Helper()
	return join(t, string(flavour), func(ctx context.Context, dir string) (*parts.Dockerd, error) {
		return parts.StartDockerd(ctx, dir, flavour)
	})
}

func buildkitd(t *testing.T) *parts.Buildkitd {
	t.Helper()
	return join(t, parts.NameBuildkitd,
		func(ctx context.Context, dir string) (*parts.Buildkitd, error) {
			return parts.StartBuildkitd(ctx, dir, parts.BuildkitdOptions{})
		})
}

// root is the module's folder.
func root(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs(filepath.Join("..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	return dir
}
