package e2e_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"git.moleculesai.app/molecule-ai/pinion"
	"git.moleculesai.app/molecule-ai/pinion/buildkit"
	"git.moleculesai.app/molecule-ai/pinion/test/parts"
)

// workingTree is a clone of a template, as its author has it, with a .git.
func workingTree(t *testing.T, files ...parts.File) string {
	t.Helper()
	dir := t.TempDir()
	for _, f := range files {
		path, mode := filepath.Join(dir, f.Path), fs.FileMode(0o644)
		switch f.Mode {
		case parts.Symlink:
			if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755),
				os.Symlink(string(f.Data), path)); err != nil {
				t.Fatal(err)
			}
			continue
		case parts.Executable:
			mode = 0o755
		}
		write(t, path, string(f.Data), mode)
	}
	write(t, filepath.Join(dir, ".git", "HEAD"), "ref: refs/heads/main\n", 0o644)
	return dir
}

// TestWorkingTree is the author's loop: build, hit, change one file, build, with each builder.
func TestWorkingTree(t *testing.T) {
	onCells(t, builders(), func(t *testing.T, c cell) {
		s := newScene(t, c)
		canary := "s3cret-of-" + s.prefix + runtime
		dir := workingTree(t,
			append(busybox(t, "COPY . /context", "COPY run /run-me", "CMD /run-me"),
				parts.Program("run",
					[]byte("#!/bin/sh\ncat /context/word\nfind /context -type f\nreadlink "+
						"/context/link\n")),
				parts.Text("word", "one "+s.prefix+"\n"), parts.Text("empty", ""),
				parts.Text(".dockerignore", "*.env\nprivate\n"), parts.Text("local.env", canary),
				parts.Text("private/key", canary))...)
		if err := os.Symlink("/etc/shadow", filepath.Join(dir, "link")); err != nil {
			t.Fatal(err)
		}
		at := pinion.AtPath(dir)

		first := s.ensure(t, pinion.OutcomeBuilt, at)
		if !strings.HasPrefix(first.Reference, "molecule-local/workspace-template-hermes:dev-") ||
			!strings.HasPrefix(first.Tree, "sha256:"+first.Reference[len(first.Reference)-12:]) {
			t.Errorf("reference %s, tree %s", first.Reference, first.Tree)
		}
		if !first.Revision.IsZero() || first.Repository != "" || first.Fetch == nil ||
			first.Fetch.Strategy != buildkit.StrategyLocal || !first.Ignored ||
			len(first.Warnings) > 0 {
			t.Errorf("got %+v", first)
		}
		s.wantTree(t, first)
		out := s.runContainer(t, first.ID)
		if !strings.HasPrefix(out, "one ") || !strings.Contains(out, "/context/empty\n") ||
			!strings.HasSuffix(out, "/etc/shadow\n") {
			t.Errorf("the container prints\n%s", out)
		}
		for _, absent := range []string{"env", "private", ".git"} {
			if strings.Contains(strings.ReplaceAll(out, ".dockerignore", ""), absent) {
				t.Errorf("%s is in the context:\n%s", absent, out)
			}
		}

		// Neither an ignored file nor a time makes another tree, and a hit sends nothing anywhere.
		write(t, filepath.Join(dir, "local.env"), canary+" changed", 0o644)
		s.reset()
		hit := s.ensure(t, pinion.OutcomeHit, at)
		if hit.ID != first.ID || hit.Reference != first.Reference || hit.Tree != first.Tree {
			t.Errorf("got %+v", hit)
		}
		s.wantOnlyInspections(t)

		if err := os.Chmod(filepath.Join(dir, "word"), 0o755); err != nil {
			t.Fatal(err)
		}
		moded := s.ensure(t, pinion.OutcomeBuilt, at)
		write(t, filepath.Join(dir, "word"), "two "+s.prefix+"\n", 0o755)
		changed := s.ensure(t, pinion.OutcomeBuilt, at)
		if moded.Tree == first.Tree || changed.Tree == moded.Tree || moded.ID == first.ID {
			t.Errorf("trees %s, %s, %s", first.Tree, moded.Tree, changed.Tree)
		}
		if out := s.runContainer(t, changed.ID); !strings.HasPrefix(out, "two ") {
			t.Errorf("the container prints\n%s", out)
		}
		if n := len(s.git.Requests()); n != 0 {
			t.Errorf("the git server was asked %d times", n)
		}
		if latest := s.id(t,
			"molecule-local/workspace-template-hermes:latest"); latest == first.ID ||
			latest == changed.ID {
			t.Error("latest was moved to a working tree")
		}
		s.wantNotKept(t, canary, "two "+s.prefix)
	})
}

// wantTree checks in the engine that the image's labels name no commit.
func (s *scene) wantTree(t *testing.T, img pinion.Image) {
	t.Helper()
	got, err := s.docker.ImageInspect(t.Context(), img.Reference)
	if err != nil {
		t.Fatal(err)
	}
	labels := got.Config.Labels
	if got.ID != img.ID || labels[pinion.LabelTree] != img.Tree ||
		labels[pinion.LabelRevision] != "" || labels[pinion.LabelSource] != "" {
		t.Errorf("%s has %s and %v", img.Reference, got.ID, labels)
	}
	s.wantNothingTemporary(t, img.Name)
}

// wantNotKept searches the files of the builder, and of the engine, for what was ignored; marker is
// in what was not, so that a search which finds nothing is known to have looked.
func (s *scene) wantNotKept(t *testing.T, ignored, marker string) {
	t.Helper()
	logs := []string{engine(t, s.store).Log()}
	if s.standalone {
		logs = append(logs, buildkitd(t).Log())
	}
	marked := false
	for _, log := range logs {
		// A file that is removed during the walk is skipped.
		_ = filepath.WalkDir(filepath.Dir(log), func(path string, d fs.DirEntry, err error) error {
			if err != nil || !d.Type().IsRegular() {
				return nil
			}
			body, _ := os.ReadFile(path)
			if bytes.Contains(body, []byte(ignored)) {
				t.Errorf("%s holds what was ignored", path)
			}
			marked = marked || bytes.Contains(body, []byte(marker))
			return nil
		})
	}
	if !marked {
		t.Errorf("the search below %v did not even find what was sent", logs)
	}
}

// TestWorkingTreeThatChangesOnTheWay, between the digest and the upload, gives no image.
func TestWorkingTreeThatChangesOnTheWay(t *testing.T) {
	onCells(t, []cell{containerdOwn, oldOwn}, func(t *testing.T, c cell) {
		s := newScene(t, c)
		dir := workingTree(t, append(busybox(t, "COPY word /"),
			parts.Text("word", "before "+s.prefix))...)
		word := filepath.Join(dir, "word")
		s.engine.SetHook(func(_ http.ResponseWriter, r *http.Request) bool {
			if strings.HasSuffix(r.URL.Path, "/session") {
				write(t, word, "after! "+s.prefix, 0o644)
			}
			return false
		})
		_, err := s.try(t, pinion.AtPath(dir))
		wantError(t, err, pinion.ErrChanged, "word")
		if tags := s.tags(t, runtime); strings.Contains(strings.Join(tags, " "), "unverified") {
			t.Errorf("left behind: %v", tags)
		}
		s.engine.SetHook(nil)
		again := s.ensure(t, pinion.OutcomeBuilt, pinion.AtPath(dir))
		s.wantTree(t, again)
	})
}

func TestWorkingTreeOnTheCommandLine(t *testing.T) {
	s := newScene(t, containerdOwn)
	dir := workingTree(t, append(busybox(t, "COPY word /", "CMD cat /word"),
		parts.Text("word", "tried "+s.prefix+"\n"))...)
	r := s.succeed(t, "ensure", runtime, "--path", dir, "--format", "json")
	var fields map[string]any
	if err := json.Unmarshal([]byte(r.stdout), &fields); err != nil {
		t.Fatal(err)
	}
	if fields["tree"] == nil || fields["revision"] != nil || fields["repository"] != nil ||
		fields["fetch"].(map[string]any)["strategy"] != "local" {
		t.Errorf("the receipt is %s", r.stdout)
	}
	if ran := s.succeed(t, "run", runtime, "--rm", "--path",
		dir); ran.stdout != "tried "+s.prefix+"\n" {
		t.Errorf("got %+v", ran)
	}
	if ls := s.succeed(t, "ls"); !strings.Contains(ls.stdout, "dev-") {
		t.Errorf("ls prints\n%s", ls.stdout)
	}
	empty := t.TempDir()
	s.fail(t, exitBuild, []string{"has no Dockerfile"}, "ensure", runtime, "--path", empty)
	s.fail(t, exitUsage, []string{"not a folder"}, "ensure", runtime, "--path",
		filepath.Join(dir, "word"))
	s.fail(t, exitUsage, []string{"no such file"}, "ensure", runtime, "--path",
		filepath.Join(dir, "nosuch"))
	s.fail(t, exitUsage, []string{"empty"}, "ensure", runtime, "--path", "")
	s.fail(t, exitUsage, []string{"--path"}, "ensure", runtime, "claude-code", "--path", dir)
	s.fail(t, exitUsage, []string{"--path"}, "ensure", runtime, "--path", dir, "--sha",
		strings.Repeat("a", 40))
	s.fail(t, exitNotFound, []string{"nosuch"}, "ensure", "nosuch", "--path", dir)
	s.with("MOLECULE_IMAGE_REGISTRY", "registry.example/x").fail(t, exitUsage,
		[]string{"MOLECULE_IMAGE_REGISTRY"}, "ensure", runtime, "--path", dir)
}

// TestPruneKeepsWorkingTreesApart: trying things out pushes no commit's image out.
func TestPruneKeepsWorkingTreesApart(t *testing.T) {
	s := newScene(t, containerdOwn)
	_, sha := s.prepare(t, "RUN echo "+s.prefix)
	commit := s.ensure(t, pinion.OutcomeBuilt)
	dir := workingTree(t, append(busybox(t, "COPY word /"), parts.Text("word", ""))...)
	var dev []pinion.Image
	for _, word := range []string{"a", "b", "c"} {
		write(t, filepath.Join(dir, "word"), word+s.prefix, 0o644)
		dev = append(dev, s.ensure(t, pinion.OutcomeBuilt, pinion.AtPath(dir)))
	}
	if _, err := s.open(t).Prune(t.Context(), pinion.PruneOptions{Keep: 1}); err != nil {
		t.Fatal(err)
	}
	for ref, want := range map[string]string{
		commit.Reference: commit.ID, "molecule-local/workspace-template-hermes:" +
			sha[:12]: commit.ID,
		dev[0].Reference: "", dev[1].Reference: "", dev[2].Reference: dev[2].ID,
	} {
		if got := s.id(t, ref); got != want {
			t.Errorf("%s is %q, not %q", ref, got, want)
		}
	}
	du := s.succeed(t, "du").stdout
	if !strings.Contains(du, "hermes (working trees)") {
		t.Errorf("du prints\n%s", du)
	}
}

// TestClonesUnderOtherUmasks are one tree, and have git's own modes in the image.
func TestClonesUnderOtherUmasks(t *testing.T) {
	onCells(t, builders(), func(t *testing.T, c cell) {
		s := newScene(t, c)
		files := append(busybox(t, "COPY . /context",
			`CMD stat -c %a /context /context/d /context/d/word /context/run | tr '\n' ' '`),
			parts.Text("d/word", s.prefix), parts.Program("run", []byte("#!/bin/sh\n")))
		var outcomes []pinion.Outcome
		trees := map[string]bool{}
		for _, umask := range []fs.FileMode{0o002, 0o022, 0o077} {
			dir := workingTree(t, files...)
			for path, mode := range map[string]fs.FileMode{"d": 0o777, "d/word": 0o666,
				"run": 0o777} {
				if err := os.Chmod(filepath.Join(dir, path), mode&^umask); err != nil {
					t.Fatal(err)
				}
			}
			img, err := s.try(t, pinion.AtPath(dir))
			if err != nil {
				t.Fatal(err)
			}
			if out := s.runContainer(t, img.ID); out != "755 755 644 755 " {
				t.Errorf("under the umask %o the image has the modes %q", umask, out)
			}
			trees[img.Tree], outcomes = true, append(outcomes, img.Outcome)
		}
		if len(trees) != 1 || !slices.Equal(outcomes, []pinion.Outcome{pinion.OutcomeBuilt,
			pinion.OutcomeHit, pinion.OutcomeHit}) {
			t.Errorf("the trees are %v, the outcomes %q", trees, outcomes)
		}
	})
}
