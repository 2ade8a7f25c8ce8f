package pinion

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"git.moleculesai.app/molecule-ai/pinion/resolver"
	"git.moleculesai.app/molecule-ai/pinion/resolver/git"
)

func workingTree(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "Dockerfile"), []byte("FROM scratch\n"),
		0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

// TestWorkingTree asks no git server, moves no latest, and leaves the template's own images alone.
func TestWorkingTree(t *testing.T) {
	w := newWorld(t)
	commit := w.ensure(t)
	dir := workingTree(t)
	w.heads.err = errors.New("the git server must not be asked")
	built := w.ensure(t, AtPath(dir))
	if built.Outcome != OutcomeBuilt || !built.Revision.IsZero() || built.Repository != "" ||
		!built.SupersededBy.IsZero() ||
		built.Reference != "molecule-local/workspace-template-claude-code:dev-"+strings.TrimPrefix(
			built.Tree, "sha256:",
		)[:12] {
		t.Errorf("got %+v", built)
	}
	if hit := w.ensure(t, AtPath(dir)); hit.Outcome != OutcomeHit || hit.ID != built.ID ||
		hit.Tree != built.Tree || w.builder.solves() != 2 {
		t.Errorf("got %+v after %d solves", hit, w.builder.solves())
	}
	if latest := w.store.References()[latestOf]; latest != commit.ID {
		t.Errorf("latest is %s", latest)
	}
	list, err := w.List(t.Context())
	if err != nil || len(list) != 2 || list[0].Tree != built.Tree || list[1].Tree != "" {
		t.Errorf("got %+v, %v", list, err)
	}
	report, err := w.Prune(t.Context(), PruneOptions{Keep: 1})
	if err != nil || report.Reclaimed != 0 {
		t.Errorf("got %+v, %v", report, err)
	}
}

func TestWorkingTreeRefused(t *testing.T) {
	dir := workingTree(t)
	rev, err := git.ParseRevision(shaA)
	if err != nil {
		t.Fatal(err)
	}
	registry := OptionsFromEnv(func(name string) (string, bool) {
		return "registry.example/x", name == resolver.RegistryEnv
	})
	for name, c := range map[string]struct {
		world *world
		opts  []EnsureOption
		kind  error
	}{
		"a file": {newWorld(t), []EnsureOption{AtPath(filepath.Join(dir, "Dockerfile"))},
			ErrInvalidInput},
		"nothing": {newWorld(t), []EnsureOption{AtPath(filepath.Join(dir, "nosuch"))},
			ErrInvalidInput},
		"no name": {newWorld(t), []EnsureOption{AtPath("")}, ErrInvalidInput},
		"a commit too": {newWorld(t), []EnsureOption{AtPath(dir), AtRevision(rev, true)},
			ErrInvalidInput},
		"registry mode": {newWorld(t, registry), []EnsureOption{AtPath(dir)}, ErrInvalidInput},
		"no Dockerfile": {newWorld(t), []EnsureOption{AtPath(t.TempDir())}, ErrRefused},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := c.world.Ensure(t.Context(), "claude-code", c.opts...); !errors.Is(err,
				c.kind) || c.world.builder.solves() != 0 {
				t.Errorf("got %v after %d solves", err, c.world.builder.solves())
			}
		})
	}
}

// TestWorkingTreeFrontends: what the operator allows counts as for a commit, from the option and
// from the config file.
func TestWorkingTreeFrontends(t *testing.T) {
	dir := workingTree(t)
	if err := os.WriteFile(filepath.Join(dir, "Dockerfile"),
		[]byte("# syntax=registry.example/frontend:1\nFROM scratch\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "config.yaml")
	if err := os.WriteFile(file, []byte("frontends: [registry.example/frontend]\n"),
		0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := newWorld(t).Ensure(
		t.Context(), "claude-code", AtPath(dir),
	); !errors.Is(err, ErrRefused) {
		t.Errorf("not allowed: %v", err)
	}
	for name, opt := range map[string]Option{
		"option":      WithAllowedFrontends("registry.example/frontend"),
		"config file": WithConfig(file),
	} {
		if img := newWorld(t, opt).ensure(t, AtPath(dir)); img.Outcome != OutcomeBuilt {
			t.Errorf("%s: %s", name, img.Outcome)
		}
	}
}
