//go:build linux

package daemon_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"git.moleculesai.app/molecule-ai/pinion"
	"git.moleculesai.app/molecule-ai/pinion/buildkit"
	"git.moleculesai.app/molecule-ai/pinion/test/parts"
	"git.moleculesai.app/molecule-ai/pinion/test/parts/partstest"
)

// End to end: a build by the managed builder, delivery into an engine, and a hit without a builder.
func TestEnsureWithTheManagedBuilderIntoAnEngine(t *testing.T) {
	b := newBed(t)
	engine := partstest.Dockerd(t, parts.Docker20)
	server := partstest.GitHTTP(t)
	const repo = "x-claude-code"
	if err := server.CreateRepo(t.Context(), repo, parts.SHA1); err != nil {
		t.Fatal(err)
	}
	if _, err := server.Push(t.Context(), repo,
		parts.Commit{Files: partstest.BusyboxTemplate(t, "RUN echo x > /x")}); err != nil {
		t.Fatal(err)
	}
	m := b.manager("v1")
	lookup := func(name string) (string, bool) { v, ok := b.env[name]; return v, ok }
	open := func(start func(context.Context) (string, error)) *pinion.Orchestrator {
		o, err := pinion.New(pinion.OptionsFromEnv(lookup),
			pinion.WithCacheDir(filepath.Join(b.root, "..", "cache")),
			pinion.WithRepoPrefix(server.URL()+"/x-"), pinion.WithDockerHost(engine.Host()),
			pinion.WithPlatform(pinion.NativePlatform),
			pinion.WithBuilder(pinion.ManagedBuilder, pinion.TLS{}),
			pinion.WithManagedBuilder(start))
		if err != nil {
			t.Fatal(err)
		}
		return o
	}
	img, err := open(m.Ensure).Ensure(t.Context(), "claude-code")
	if err != nil {
		t.Fatal(err)
	}
	if img.Outcome != pinion.OutcomeBuilt || img.Builder.Kind != buildkit.KindManaged ||
		img.Builder.Endpoint != b.process(m).Address {
		t.Errorf("got %+v, builder %+v", img, img.Builder)
	}
	never := func(context.Context) (string, error) { return "", os.ErrInvalid }
	if hit, err := open(never).Ensure(t.Context(), "claude-code"); err != nil ||
		hit.Outcome != pinion.OutcomeHit || hit.ID != img.ID {
		t.Errorf("got %+v, %v", hit, err)
	}
	if _, err := open(never).Ensure(
		t.Context(), "claude-code", pinion.NoCache(),
	); !errors.Is(err, pinion.ErrNoBuilder) || !errors.Is(err, os.ErrInvalid) {
		t.Errorf("got %v", err)
	}
}
